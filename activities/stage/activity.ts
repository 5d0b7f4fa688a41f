import { ApplicationFailure, Context } from '@temporalio/activity';
import { CancelledFailure } from '@temporalio/common';
import { LONGEST_TIMER_MS } from '../../pipelines/duration.js';
import { isWaitedFor, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { mayRetry, type Next, nextAttempt, UNTRIED } from '../../pipelines/retry.js';
import {
  type AttemptState,
  callsBefore,
  type LossNote,
  type Question,
  type StageCall,
  type StageOutcome,
  waitingFor,
} from '../../pipelines/run/index.js';
import { leadMs } from '../../pipelines/run/lead.js';
import { goesOnElsewhere } from '../../pipelines/stages/index.js';
import { wellFormed, wellFormedError } from '../../pipelines/well-formed.js';
import { momentAgo } from '../../runtime/moment.js';
import { HandedOver } from '../connectors/handed-over.js';
import { Afterwards } from './afterwards.js';
import { askRun } from './ask-run.js';
import { LONGEST_MESSAGE, shortMessage } from './call-report.js';
import { cancellationIn, isTakenOver } from './cancellation.js';
import { withEntries } from './held-entries.js';
import { HeldSlot, type SharedSlots } from './held-slot.js';
import { packed, unpacked } from './kept-progress.js';
import { FRESH_MS, isCurrent, isExpected, TaskAges } from './late-task.js';
import { attemptsBefore, isReported, MOST_LOSSES, OwnAttempts, workerLost } from './lost-workers.js';
import { isPending } from './pending.js';
import type { StageRunner } from './stage-runner.js';
import { unreported, unreportedSince } from './unreported.js';

/** What runs the attempts. Absent `earlier`: nothing is recorded. */
type Runner = Pick<StageRunner, 'run' | 'stepStreams'> & Partial<Pick<StageRunner, 'lost' | 'earlier'>>;

export type StageActivity = (input: JsonObject, call: StageCall) => Promise<StageOutcome>;

/** Cancellation arrives with the answer to a heartbeat; the call then has as long again to end within a second. */
const HEARTBEAT_INTERVAL_MS = 500;

/** When an attempt with a checkpoint asks Temporal whether it is still expected: so long before its time is over. */
const ASKED_BEFORE = { ms: 1_000, share: 0.1 };

/**
 * The one activity: registered as `default`, it serves every activity type, so that an activity's type is its stage's name.
 * @param options.devices where its stages are served, for a worker of device queues
 * @param options.slots of the worker, for stages that wait for other stages
 */
export function createActivities(
  runner: Runner,
  { devices, slots }: { readonly devices?: readonly string[]; readonly slots?: SharedSlots } = {},
): { default: StageActivity } {
  const own = new OwnAttempts();
  const ages = new TaskAges();
  return {
    async default(input, sent) {
      const call = sent.channel ? { ...sent, kind: sent.channel.kind } : sent;
      const context = Context.current();
      const { info } = context;
      // What is looked up first takes from the attempt's time: Temporal gives it to another worker when that is over.
      const begunAt = momentAgo();
      if (!(await isCurrent(context, ages))) {
        context.log.warn(
          'the task came late, and Temporal expects no result of this attempt any more: it is not begun',
        );
        throw attemptOver();
      }
      let expectedAt = performance.now();
      const { lost, ...left } = (info.heartbeatDetails ?? {}) as Partial<AttemptState> & { lost?: LossNote };
      const run = runOf(info);
      const { progress: kept = null, stage: _, doing: __, unstreamed, ...before } = { ...UNTRIED, ...left };
      // A lost attempt may have told text. Only a start makes that void, and none is told after a wait.
      let tried = isReported(info, lost) ? before : { ...before, waitedMs: 0 };
      let progress = kept;
      const calls = callsBefore(info.attempt, tried);
      const isSpent = calls >= call.retry.attempts;
      const asked = { call, input, run, note: lost, isSpent };
      const beats = { beatEveryMs: HEARTBEAT_INTERVAL_MS };
      const earlier = await unreported(runner, context, { ...asked, ...beats }).catch((error: unknown) => {
        // It leaves no end, so that the next attempt asks too.
        if (context.cancellationSignal.aborted) throw new CancelledFailure('the stage was cancelled');
        const failure = known(error);
        runner.lost?.(call, failure.code, Date.now() - info.scheduledTimestampMs);
        throw asFailure(failure, call, calls, undefined);
      });
      if (earlier) return earlier;
      // Of one that was lost with its worker it is not known.
      const first = info.attempt === 1 || (unstreamed === true && lost?.ended === info.attempt - 1);
      const again = call.again === true || !first;
      const { losses: lostBefore, timedOut } = await attemptsBefore(context, lost, own);
      let losses = lostBefore;
      let rests = false;
      const noted = (state: AttemptState, ended?: number) => ({
        ...state,
        lost: {
          attempt: info.attempt,
          losses,
          ...(ended !== undefined && { ended }),
          ...(rests && ended === undefined && { rests }),
        },
      });
      const leave = (...state: Parameters<typeof noted>) => context.heartbeat(noted(...state));
      // With entries to read it is known only then what its input is. An attempt that ends before leaves no end, so that the next one asks too.
      let isToAsk = call.held !== undefined && unreportedSince(call, info, lost) !== undefined;
      const end = () => (isToAsk ? undefined : info.attempt);
      // An attempt that is lost while it rests counts as none.
      const waits = () => (rests ? Math.min(tried.waits + 1, info.attempt) : tried.waits);
      // If its worker is lost or stops, the next one must tell a start: this one may have told text.
      const now = (): AttemptState => ({
        ...tried,
        waits: waits(),
        waitedMs: 0,
        ...(progress !== null && { progress }),
      });
      const beat = () => leave(now());
      if (losses >= MOST_LOSSES) {
        runner.lost?.(call, 'WORKER_LOST', Date.now() - info.scheduledTimestampMs);
        throw asFailure(workerLost(), call, calls, undefined);
      }
      const isFinal = timedOut && !mayRetry(call.retry, { code: 'STAGE_TIMEOUT', details: {} });
      // Asking for what was begun is no further call. An attempt that took too long has given that up.
      const goesOn = () => kept !== null && !timedOut && goesOnElsewhere(call);
      if (isFinal || (isSpent && !goesOn())) {
        runner.lost?.(call, 'STAGE_TIMEOUT', Date.now() - info.scheduledTimestampMs);
        throw lastAttemptLost(call, calls);
      }
      // The call may end this worker at once. Which attempts have begun is then known by what Temporal has of this one.
      if (!info.isLocal && !isReported(info, lost)) {
        beat();
        if (!(await isExpected(context, noted(now()), context.cancellationSignal))) throw attemptOver();
      }
      const beating = setInterval(beat, HEARTBEAT_INTERVAL_MS);
      // Temporal informs a worker of a timed-out attempt late (with a heartbeat) or never; the call must not outlive
      // it.
      const expiry = new AbortController();
      const over = expired(info.startToCloseTimeoutMs);
      let why: Error = over;
      const expire = () => expiry.abort(why);
      const endsAt = begunAt.steadyMs + info.startToCloseTimeoutMs - leadMs(info.startToCloseTimeoutMs);
      const expiring = setTimeout(expire, Math.min(endsAt - performance.now(), LONGEST_TIMER_MS));
      // Cut off from Temporal, it learns late that another attempt goes on from its checkpoint. Without an answer it may be so.
      const ended = new AbortController();
      const askAhead = async () => {
        if (progress === null) return;
        const { delayMs } = nextAttempt(call.retry, call.patienceMs, over, calls + 1, tried, 0);
        if (delayMs !== undefined) why = new HandedOver();
        const until = AbortSignal.any([expiry.signal, ended.signal]);
        why = (await isTakenOver(context, noted(now()), until)) ? new HandedOver() : over;
      };
      const askedAt = endsAt - Math.min(ASKED_BEFORE.ms, info.startToCloseTimeoutMs * ASKED_BEFORE.share);
      const asking = setTimeout(() => void askAhead(), Math.min(askedAt - performance.now(), LONGEST_TIMER_MS));
      const superseded = new AbortController();
      const signal = AbortSignal.any([
        cancellationIn(context, () => progress !== null),
        expiry.signal,
        superseded.signal,
      ]);
      const slot = slots && new HeldSlot(slots, call.tenant);
      const expected = async () => {
        if (!(await isExpected(context, noted(now()), signal))) {
          // Aborted as an expired attempt is: its end is no failure of the stage, nor of a server. The next one goes on from a checkpoint.
          const another = !signal.aborted && progress !== null && (await isPending(context));
          superseded.abort(another ? new HandedOver() : attemptOver());
          throw superseded.signal.reason;
        }
        expectedAt = performance.now();
      };
      const afterwards = new Afterwards(context);
      const ask = (question: Question) => askRun(context, call, question, signal);
      try {
        const [whole, ofKind] = await withEntries(runner, input, call, run, signal);
        if (isToAsk) {
          const ofAttempt = { leftMs: endsAt - performance.now(), signal };
          const made = await unreported(runner, context, { ...asked, call: ofKind, input: whole, ...ofAttempt });
          if (made) return made;
          isToAsk = false;
        }
        const outcome = await runner.run(whole, ofKind, {
          signal,
          attempt: calls + 1,
          tried,
          again,
          queueMs: Math.max(0, Date.now() - info.currentAttemptScheduledTimestampMs),
          begunAt,
          endsAt,
          run,
          resumeFrom: unpacked(kept),
          ask: (question) => (slot ? slot.without(() => ask(question), signal) : ask(question)),
          ...(devices && { devices }),
          ...(slot && { slot }),
          checkpoint(details) {
            const fitting = packed(details);
            // Without room for this one the next attempt goes on from the one before.
            if (fitting !== undefined) progress = fitting;
            beat();
          },
          // Cut off from Temporal, a worker does not learn that another one has got the task.
          async mayBegin() {
            if (performance.now() - expectedAt > FRESH_MS) await expected();
          },
          rest() {
            rests = true;
            beat();
            // Heartbeats are sent only so often.
            const told = isExpected(context, noted(now()), signal);
            return async () => {
              rests = false;
              beat();
              await told;
              if (!signal.aborted) await expected();
            };
          },
          passed() {
            losses = 0;
            // As if no attempt before the next one had been made.
            tried = { ...tried, waits: info.attempt, waitedMs: 0 };
          },
          whenKept: (work) => afterwards.add(work),
        });
        void afterwards.doWhenReported();
        return outcome;
      } catch (error) {
        if (context.cancellationSignal.aborted) {
          leave(now(), end());
          if (!(signal.reason instanceof HandedOver)) afterwards.do();
          throw new CancelledFailure('the stage was cancelled');
        }
        // Many libraries throw an error of their own instead of the signal's reason.
        const failure = known(expiry.signal.aborted ? over : error);
        const made = isWaitedFor(failure) ? calls : calls + 1;
        const next = nextAttempt(call.retry, call.patienceMs, failure, made, tried, Math.random());
        // The failure report carries the last heartbeat's details, so the next attempt has them however fast this one
        // was.
        leave(stateAfter(call, failure, next, progress), end());
        const isLast = progress === null || next.delayMs === undefined;
        if (isLast && !superseded.signal.aborted && !(signal.reason instanceof HandedOver)) afterwards.do();
        throw asFailure(failure, call, made, next);
      } finally {
        clearInterval(beating);
        clearTimeout(expiring);
        clearTimeout(asking);
        ended.abort();
        slot?.end();
      }
    },
  };
}

const runOf = ({ workflowExecution, activityId }: Context['info']): string =>
  workflowExecution?.workflowId ?? activityId;

const attemptOver = () => new CancelledFailure('the attempt is over');

const expired = (ms: number) => new MillraceError('STAGE_TIMEOUT', `the attempt took longer than ${ms} ms`);

/** The attempt may have made its call before its worker was lost: it counts, and it was the last one. */
const lastAttemptLost = (call: StageCall, calls: number): ApplicationFailure =>
  asFailure(
    new MillraceError('STAGE_TIMEOUT', 'its worker was lost, or the attempt timed out'),
    call,
    calls,
    undefined,
  );

const known = (error: unknown): MillraceError =>
  error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error), {}, { cause: error });

const stateAfter = (call: StageCall, failure: MillraceError, { tried }: Next, progress: Json): AttemptState => ({
  ...tried,
  ...(progress !== null && { progress }),
  ...(isWaitedFor(failure) && { stage: call.stage, doing: waitingFor(call, failure.details) }),
});

/** The failure with the delay of the next attempt. The latest end of the last attempt is in the activity's options. */
function asFailure(
  { code, message, details, cause }: MillraceError,
  call: StageCall,
  calls: number,
  next: Next | undefined,
): ApplicationFailure {
  const delay = next?.delayMs;
  const failure = ApplicationFailure.create({
    type: code,
    message: shortMessage(isWaitedFor({ code, details }) ? `${waitingFor(call, details)}: ${message}` : message),
    details: [{ ...details, stage: call.stage, attempt: calls }],
    ...(delay === undefined ? { nonRetryable: true } : { nonRetryable: false, nextRetryDelay: delay }),
    ...(cause instanceof Error &&
      details.stack === undefined &&
      cause.message.length <= LONGEST_MESSAGE && { cause: wellFormedError(cause) }),
  });
  // The Temporal UI shows the stack: the author's frames instead of Millrace's.
  if (details.stack !== undefined) failure.stack = wellFormed(details.stack);
  return failure;
}
