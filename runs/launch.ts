import { MillraceError } from '../pipelines/errors.js';
import type { JsonObject } from '../pipelines/json.js';
import type { Plan } from '../pipelines/plan/index.js';
import type { RunResult } from '../pipelines/run/index.js';
import { linkedAbort } from '../runtime/limited.js';
import type { Leave } from './admission/admission.js';
import { ownerOf } from './caller.js';
import type { RunDeps } from './deps.js';
import type { RunDocument } from './document.js';
import { type FollowedRun, followRun } from './follow.js';
import { startGuarded } from './guarded-start.js';
import type { Order } from './order.js';
import { never, OVER } from './over.js';
import { countRead, readEnded } from './paced-runs.js';
import { prepareRun } from './prepare.js';
import { documentOfEnded, documentOfStarted, findRun } from './read.js';
import { readTogether } from './read-together.js';
import { noteSent } from './recorded.js';
import { asRefused } from './refused.js';
import { type Claim, claimOf } from './retried.js';
import { type StartedRun, startRun } from './start.js';
import { quietFor, waitForRun } from './wait.js';

export interface Launched {
  readonly run: StartedRun;
  /** The run when it has ended or the wait is over. */
  readonly document: RunDocument;
}

export interface Wait {
  /** Longest wait, in milliseconds; the run continues after it. */
  readonly waitMs: number;
  /** Aborts when the caller has disconnected; the run continues. */
  readonly gone: AbortSignal;
  /** Called as soon as the run has started. */
  readonly started?: ((run: StartedRun) => void) | undefined;
}

/** Starts a run and waits for its end. */
export async function launch(deps: RunDeps, order: Order, wait: Wait): Promise<Launched> {
  const leave = wait.waitMs > 0 ? deps.streams.take(order.caller.tenant) : () => undefined;
  try {
    return await launchAndWait(deps, order, wait);
  } finally {
    leave();
  }
}

async function launchAndWait(deps: RunDeps, order: Order, { waitMs, gone, started }: Wait): Promise<Launched> {
  const { own: close, release } = linkedAbort(gone);
  try {
    const wanted = { answer: waitMs > 0, events: waitMs === 0 };
    const begun = await start(deps, order, wanted, { over: close.signal, gone });
    const { run, answered, noResult, ended } = begun;
    started?.(run);
    const before = await endedBefore(deps, begun, order, close.signal);
    if (before) return { run, document: before };
    const documents = answered !== undefined ? [answered] : [];
    const left = noResult === undefined ? Promise.resolve(waitMs) : quietFor(waitMs, close.signal, noResult);
    const settled = left.then((leftMs) => settle(deps, run, order, { waits: waitMs > 0, leftMs }, close.signal));
    const document = await Promise.race([settled, ...documents]);
    if (document.status !== 'running') ended();
    return { run, document };
  } finally {
    close.abort(OVER);
    release();
  }
}

/**
 * Starts a run and streams its events, then its document.
 * @param gone aborts when nobody follows any more
 * @param left aborts when the caller has disconnected
 */
export async function launchFollowed(
  deps: RunDeps,
  order: Order,
  gone: AbortSignal,
  left: AbortSignal,
): Promise<FollowedRun> {
  const leave = deps.streams.take(order.caller.tenant);
  const close = new AbortController();
  // Also if the events are never read, because the client has disconnected.
  const stop = () => {
    close.abort(OVER);
    leave();
  };
  const wanted = { answer: true, events: true };
  const signals = { over: close.signal, gone: left };
  const started = async () => {
    const begun = await start(deps, order, wanted, signals);
    return { ...begun, document: await endedBefore(deps, begun, order, left) };
  };
  const { run, answered, noResult, ended, document } = await started().catch((error: unknown) => {
    stop();
    throw error;
  });
  gone.addEventListener('abort', stop, { once: true });
  if (gone.aborted) stop();
  async function* events(): FollowedRun['events'] {
    try {
      const of = { id: run.id, caller: order.caller };
      for await (const each of followRun(deps, of, { gone, answered, noResult, document })) {
        if ('document' in each) {
          ended();
          if (run.replayed) countRead(deps, order.caller, each.document);
        }
        yield each;
      }
    } finally {
      gone.removeEventListener('abort', stop);
      stop();
    }
  }
  return { run, events: events() };
}

interface Started {
  readonly run: StartedRun;
  /** Resolves if a worker sends the result ahead of Temporal's record; stays pending otherwise. */
  readonly answered?: Promise<RunDocument>;
  /** A worker sends the result: Temporal is polled only after a delay, or when this resolves, because the worker has no result to send. */
  readonly noResult?: Promise<unknown>;
  /** Must be called when the run is known to have ended. */
  ended(): void;
}

interface Wanted {
  readonly answer: boolean;
  readonly events: boolean;
}

interface Signals {
  /** Aborts when the wait is over. */
  readonly over: AbortSignal;
  /** Aborts when the caller has disconnected. */
  readonly gone: AbortSignal;
}

async function start(deps: RunDeps, order: Order, wanted: Wanted, { over, gone }: Signals): Promise<Started> {
  const { id, repeated, there, isLater, keep, another } = await claimOf(deps, order, gone);
  if (there) return { run: { id, memo: there, replayed: true }, ended: () => undefined };
  const first = { ...wanted, id, repeated: repeated || another !== undefined, isLater, keep };
  const started = await startAs(deps, order, first, over);
  if (!another || !started.run.replayed) return started;
  const { id: own, keep: keepOwn } = another();
  const later = { ...wanted, id: own, repeated: false, isLater: async () => true, keep: keepOwn };
  return await startAs(deps, order, later, over);
}

const REFUSALS: ReadonlySet<string> = new Set(['RATE_LIMITED', 'OVERLOADED', 'REQUEST_ABORTED']);

/**
 * The document of a run that was there before, and has ended, read at its turn; undefined of another one. Throws `RATE_LIMITED`, `OVERLOADED` and
 * `REQUEST_ABORTED`: a request that is sent again gets the run.
 */
async function endedBefore(
  deps: RunDeps,
  { run, ended }: Started,
  { caller }: Order,
  gone: AbortSignal,
): Promise<RunDocument | undefined> {
  if (!run.replayed) return undefined;
  // Where Temporal cannot say so, there is nothing to read either.
  const running = await findRun(deps, run.id, caller).then(
    (found) => found.running,
    () => true,
  );
  if (running) return undefined;
  ended();
  try {
    return await readEnded(deps, { id: run.id, tenant: caller.tenant }, gone);
  } catch (error) {
    if (error instanceof MillraceError && REFUSALS.has(error.code)) throw error;
    // As of a run whose end is not known: its id must reach the caller.
    return undefined;
  }
}

async function startAs(
  deps: RunDeps,
  { pipeline, caller, input, sent, idempotencyKey, options, asks, subscribable = false, notes }: Order,
  { id, repeated, isLater, keep, ...wanted }: Wanted & Pick<Claim, 'id' | 'repeated' | 'isLater' | 'keep'>,
  over: AbortSignal,
): Promise<Started> {
  const { tenant } = caller;
  const owner = ownerOf(caller);
  const prepared = prepareRun(deps, {
    id,
    pipeline,
    tenant,
    owner,
    input,
    sent,
    trace: caller.trace,
    idempotencyKey,
    repeated,
    options,
    asks,
    subscribable,
    notes,
    ...wanted,
  });
  const { placement } = prepared.context;
  const applicant = { id, pipeline, placement, caller, priority: options?.priority, repeated };
  const admitted = deps.admission?.admit(applicant);
  const granted = isLater ? admitted?.catch((error: unknown) => asRefused(error, isLater)) : admitted;
  const ended: Leave = (await granted) ?? (() => undefined);
  await keep?.().catch((error: unknown) => {
    ended('refused');
    throw error;
  });
  // Before the start: the result may arrive before Temporal has confirmed it.
  const answer = prepared.answered ? deps.answers?.expect(id, over) : undefined;
  const run = await (prepared.guarded ? startGuarded(deps, prepared) : startRun(deps, prepared));
  if (!run.replayed) deps.starts.count(pipeline.name, options?.priority);
  if (answer === undefined) return { run, ended };
  return { run, ended, ...asAnswered(deps, answer, { run, plan: pipeline.plan, input }) };
}

interface Answering {
  readonly run: StartedRun;
  readonly plan: Plan;
  readonly input: JsonObject;
}

/** Outside `startAs`, so that its closures do not keep the prepared run alive while a request waits. */
function asAnswered(
  deps: RunDeps,
  answer: Promise<RunResult | null>,
  { run, plan, input }: Answering,
): Pick<Started, 'answered' | 'noResult'> {
  const sent = answer.then(async (result) => (result && (await noteSent(deps, { id: run.id, plan })) ? result : null));
  const answered = sent.then((result) =>
    result ? documentOfEnded(deps, run, input, { status: 'succeeded', ...result }) : never<RunDocument>(),
  );
  const noResult = sent.then((result) => (result === null ? undefined : never()));
  return { answered, ...(!run.replayed && { noResult }) };
}

interface Settling {
  /** Whether the caller waits for the end. */
  readonly waits: boolean;
  readonly leftMs: number;
}

/**
 * The run when it has ended or the wait is over. Temporal is asked once for all who wait for a run that existed before, and for nobody who has
 * left: a thousand clients that leave at once would be a thousand readings, each with a query of a worker.
 */
async function settle(
  deps: RunDeps,
  run: StartedRun,
  { caller, input }: Order,
  { waits, leftMs }: Settling,
  gone: AbortSignal,
): Promise<RunDocument> {
  const { tenant } = caller;
  const end = await waitForRun(deps, { id: run.id, tenant }, leftMs, gone);
  if (end && !run.replayed) return documentOfEnded(deps, run, input, end.outcome);
  if (!end && (gone.aborted || !(waits || run.replayed))) return documentOfStarted(deps, run, input);
  try {
    // A run that existed before may have ended long ago: only Temporal knows when.
    const document = end ? await end.document() : (await readTogether(deps, { id: run.id, tenant })).document;
    if (run.replayed) countRead(deps, caller, document);
    return document;
  } catch (error) {
    // The run exists: its id and what is known of its end must reach the caller even if Temporal is unavailable now.
    deps.logger.warn({ runId: run.id, err: error }, 'a started run cannot be read');
    if (!end) return documentOfStarted(deps, run, input);
    const { endedAt: _, ...document } = documentOfEnded(deps, run, input, end.outcome);
    return document;
  }
}
