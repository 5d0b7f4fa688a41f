import {
  CancellationScope,
  condition,
  isCancellation,
  proxyActivities,
  proxyLocalActivities,
  proxySinks,
  type Sinks,
  setCurrentDetails,
  setDefaultSignalHandler,
  sleep,
  uuid4,
  workflowInfo,
} from '@temporalio/workflow';
import type { Json, JsonObject } from '../pipelines/json.js';
import { bytesOf, SMALL_BYTES } from '../pipelines/json-limits.js';
import {
  allSteps,
  isStage,
  type Plan,
  type StagePlan,
  type Step,
  type SubPipelinePlan,
} from '../pipelines/plan/index.js';
import { isInline } from '../pipelines/plan/segments.js';
import {
  type Change,
  type Decision,
  type EventsTo,
  eventWithin,
  OUTCOME_SIGNAL,
  outcomeOfSignal,
  type RunContext,
  type RunResult,
  type Segment,
  type SegmentCall,
  type SegmentOutcome,
  type ServingCall,
  type StageCall,
  type StageEvent,
  type StageOutcome,
  type StagePlacement,
  type StageRecord,
  type Wait,
} from '../pipelines/run/index.js';
import { StageError } from '../pipelines/run/stage-error.js';
import { traitsOf } from '../pipelines/stages/traits.js';
import { short, taskTime } from './activity-options.js';
import { takes } from './changes.js';
import { childRun } from './child-run.js';
import { callBytes } from './command-bytes.js';
import { stillAway } from './elsewhere.js';
import { stageError } from './failures.js';
import { callForeign } from './foreign.js';
import { HeldQuestions } from './held-questions.js';
import { isEnough, isLong, isNearlyOver } from './history-limits.js';
import {
  type Answering,
  type Deadline,
  type Pieces,
  type RunHost,
  type Shown,
  stageTableMarkdown,
  Waits,
} from './interpreter/index.js';
import { MessageRoom } from './message-room.js';
import { PendingWork } from './pending-work.js';
import { orRecorded } from './recorded-outcome.js';
import { untilRun } from './segment-attempts.js';
import { SegmentTurns } from './segment-turns.js';
import { stageActivity } from './stage-activity.js';
import { TemporalPieces } from './temporal-pieces.js';
import { ToldWaits } from './told-waits.js';

/** A segment ends itself at the deadline, with a code; its calls end within a second. Temporal's timeout is later. */
const SEGMENT_GRACE_MS = 2_000;

/** Sink by which the worker receives events of its workflows for clients that follow a run. */
export interface EventSinks extends Sinks {
  events: {
    /** @param to the run whose event it is, where that is the parent of the workflow's run */
    publish(event: StageEvent, to?: string): void;
  };
}

const { events } = proxySinks<EventSinks>();

/** The activity that queries Temporal for the workers of a queue, and its timeout. */
const QUERY = 'code';
const QUERY_MS = 10_000;

type ServingActivity = (input: JsonObject, call: ServingCall) => Promise<string | null>;
type SegmentActivity = (scope: JsonObject, call: SegmentCall) => Promise<SegmentOutcome>;

/** Whether a step begins local activities. */
const isLocal = (step: Step): boolean => isInline(step) || (isStage(step) && traitsOf(step)?.servedBy === 'temporal');

/** The interpreter's host inside a Temporal workflow: stages are activities, waits are durable timers. */
export class TemporalHost implements RunHost {
  /** Outcomes received from a fast host. */
  readonly #outcomes: (SegmentOutcome | null)[] = [];
  readonly #room = new MessageRoom();
  readonly #turns = new SegmentTurns();
  readonly #told: ToldWaits;
  readonly #activities: PendingWork;
  readonly #children: PendingWork;
  #deadline?: Deadline;
  #reported: readonly StageRecord[] = [];
  #foreignCalls = 0;
  /** Timers and waits for decisions that have ended. */
  #waits = 0;
  /** Bytes of the results of segments. */
  #segmentBytes = 0;
  /** Known once a loop asks: the plan has been checked by then. */
  #plansLocals?: boolean;
  #stages: readonly StageRecord[] = [];
  /** Stages of each segment that waits for the state store. */
  readonly #storeless = new Set<ReadonlySet<string>>();
  readonly #noteBytes: number;
  readonly #plan: Plan;
  /** Options of the stages, by their id, once one of them is called: the plan has been checked by then. */
  #planned?: ReadonlyMap<string, JsonObject>;
  readonly waits: Waits;
  /** Questions of calls that are open in workers. */
  readonly held = new HeldQuestions();
  readonly startedAt = workflowInfo().startTime.getTime();
  readonly streams = true;
  readonly pieces: Pieces;

  /**
   * @param notes what the door that started the run keeps with it
   * @param places for the activities of the run, and for its child runs
   */
  constructor(
    context: RunContext,
    notes: JsonObject = {},
    places = { activities: new PendingWork(), children: new PendingWork() },
  ) {
    this.#activities = places.activities;
    this.#children = places.children;
    this.#noteBytes = bytesOf(notes);
    this.#plan = context.plan;
    this.waits = new Waits(context.carried?.decided);
    this.#told = new ToldWaits(this.#room, context);
    this.pieces = new TemporalPieces(context, this.#room, this.#activities);
    const { guarded } = context;
    setDefaultSignalHandler((name, ...args) => {
      const outcome = name === OUTCOME_SIGNAL ? outcomeOfSignal(args, guarded) : undefined;
      if (outcome !== undefined) this.#outcomes.push(outcome);
    });
  }

  get stages(): readonly StageRecord[] {
    return this.#stages;
  }

  runStage(
    stage: StagePlan,
    input: JsonObject,
    call: StageCall,
    placed: StagePlacement,
    shown?: Shown,
    answer?: Answering,
  ): Promise<StageOutcome> {
    const reads = call.reads !== undefined;
    if (traitsOf(stage)?.servedBy === 'temporal')
      return callForeign(stage, input, call, placed, {
        number: ++this.#foreignCalls,
        inTurn: (work) => this.#inTurn(work),
        room: (bytes) => this.#roomFor(bytes, bytes),
        begin: (work) => (stage.kind === 'workflow' ? this.#children : this.#activities).begin(work, reads),
        limited: () => this.#limited(stage),
        publish: (event) => this.publish(event, call.events ?? true),
      });
    const since = call.since ?? Date.now();
    const ofInput = bytesOf(input);
    this.#planned ??= new Map([...allSteps(this.#plan)].map((step) => [step.id, (step as StagePlan).with]));
    const bytes = callBytes(ofInput, this.#planned.get(stage.id) ?? stage.with, call);
    const nextRoom = () => this.#room.takeUncounted(bytes);
    const room = () => this.#roomFor(bytes, ofInput);
    const begun = this.#activities.begin((waitedMs) => {
      const own = waitedMs > 0 ? this.#limited(stage) : stage;
      const begin = () => stageActivity(own, input, call, placed, nextRoom, shown);
      // More promises only where they are needed.
      const waiting = room();
      return waiting !== undefined ? waiting.then(begin) : begin();
    }, reads);
    const asked = {
      ...{ call, input, since, inTurn: <T>(work: () => Promise<T>) => this.#inTurn(work) },
      begin: <T>(work: (waitedMs: number) => Promise<T>) => this.#activities.begin(work),
      room,
    };
    const failureOf = (error: unknown) =>
      error instanceof StageError ? error : stageError(stage, stillAway(error) ?? error);
    const outcome = begun.catch(orRecorded(asked, failureOf));
    return answer ? this.held.during(call.path ?? call.stage, answer, outcome) : outcome;
  }

  /**
   * Resolves when the current workflow task has room for a command of this size. Undefined: it has.
   * @param ofInput what of it earlier releases count, if it is not small
   */
  #roomFor(bytes: number, ofInput: number): Promise<void> | undefined {
    return ofInput < SMALL_BYTES ? this.#room.takeUncounted(bytes) : this.#room.take(bytes, ofInput);
  }

  /** Runs a short local activity; its result arrives after the effects of those that ended before it. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    return this.#turns.take(undefined, work, () => this.waits.open.length > 0);
  }

  serving(queues: readonly string[], code: string): Promise<string | undefined> {
    const { [QUERY]: query } = proxyActivities<Record<string, ServingActivity>>({
      startToCloseTimeout: QUERY_MS,
      scheduleToCloseTimeout: 2 * QUERY_MS,
      retry: { maximumAttempts: 2 },
      summary: short(`workers with ${code}`),
    });
    const asking = this.#activities.begin(() => (query as ServingActivity)({}, { serving: { queues, code } }));
    return asking.then(
      (queue) => queue ?? undefined,
      (error: unknown) => {
        if (isCancellation(error)) throw error;
        // If workers are too busy to query, or Temporal does not answer, a worker may still have it.
        return queues[0];
      },
    );
  }

  runSegment(segment: Segment): Promise<SegmentOutcome> {
    const ids = new Set([...allSteps({ stages: segment.steps, output: null })].map(({ id }) => id));
    return untilRun({
      segment,
      inbox: segment.guarded === undefined ? [] : this.#outcomes,
      runOnce: (leftMs, begun) => this.#segment({ ...segment, leftMs }, begun),
      waits: (now) => {
        if (now === this.#storeless.has(ids)) return;
        if (now) this.#storeless.add(ids);
        else this.#storeless.delete(ids);
        this.#show();
      },
    });
  }

  /**
   * A local activity, named by its stages. After a crash of the worker it runs again and continues from its journal.
   */
  #segment(segment: Segment, begun: boolean): Promise<SegmentOutcome> {
    const stages = short(segment.steps.map(({ id }) => id).join(', '));
    const activities = proxyLocalActivities<Record<string, SegmentActivity>>({
      startToCloseTimeout: Math.max(0, segment.leftMs) + SEGMENT_GRACE_MS,
      retry: { maximumAttempts: 1 },
      summary: `segment · ${stages}`,
    });
    const activity = activities[stages] as SegmentActivity;
    const { scope, ...rest } = segment;
    return this.#turns
      .take(
        segment.path,
        () => activity(scope, { segment: rest, askedAt: Date.now(), ...(begun && { begun }), ...taskTime() }),
        () => this.waits.open.length > 0,
      )
      .then(
        // The cancellation is about to arrive: nothing else may start before it.
        (outcome) => {
          this.#segmentBytes += bytesOf(outcome as unknown as Json);
          return outcome.ending ? CancellationScope.current().cancelRequested : outcome;
        },
        (error: unknown) => {
          throw isCancellation(error) ? error : stageError({ id: segment.path }, error);
        },
      );
  }

  /** Part of the run is executing in its worker: the workflow must not end before `ended`. */
  get running(): boolean {
    return this.#turns.running > 0;
  }

  ended(): Promise<void> {
    return this.#turns.settled();
  }

  /** The same, or the delivery may not have all told waits yet: the run must not go on in a new history before `settled`. */
  get busy(): boolean {
    return this.running || this.#told.telling;
  }

  async settled(): Promise<void> {
    if (this.#told.telling) await this.#told.settled();
    await this.ended();
  }

  runChild(step: SubPipelinePlan, input: JsonObject, context: RunContext, path: string): Promise<RunResult> {
    return childRun(step, input, context, path, {
      room: (bytes) => this.#room.takeUncounted(bytes),
      begin: (work) => this.#children.begin(work),
      share: (to) => this.#told.share(to),
      deadline: this.#deadline,
    });
  }

  within(deadline: Deadline): void {
    this.#deadline = deadline;
  }

  /** A stage that has waited for its place. Throws `DEADLINE_EXCEEDED` if the run has no time left for it. */
  #limited(stage: StagePlan): StagePlan {
    return this.#deadline?.limit(stage) ?? stage;
  }

  itemTurn(giveUp: () => boolean, startsRuns: boolean): Promise<void> | undefined {
    return this.#activities.turn(giveUp) ?? (startsRuns ? this.#children.turn(giveUp) : undefined);
  }

  since(change: Change): boolean {
    return takes(change);
  }

  now(): number {
    return Date.now();
  }

  async wait(ms: number, what: string): Promise<void> {
    await sleep(ms, { summary: what });
    this.#waits += 1;
  }

  nonce(): string {
    return uuid4();
  }

  async decision(wait: Wait, giveUp: () => boolean): Promise<Decision | undefined> {
    const { nonce } = wait;
    this.waits.begin(wait);
    this.#show();
    let goesOn = false;
    try {
      await condition(() => {
        if (this.waits.decisionOn(nonce)) return true;
        goesOn = giveUp();
        return goesOn;
      });
    } finally {
      if (goesOn) this.waits.leave(nonce);
      else this.close(nonce);
      this.#waits += 1;
    }
    return this.waits.decisionOn(nonce);
  }

  close(nonce: string): Decision | undefined {
    const decision = this.waits.end(nonce);
    this.#show();
    return decision;
  }

  race<T>(contenders: readonly ((host: RunHost) => Promise<T>)[]): Promise<T> {
    return CancellationScope.cancellable(async () => {
      const scope = CancellationScope.current();
      try {
        const [only, ...others] = contenders;
        // A single contender leaves nothing running when it succeeds, and cancelling costs a failure with a stack trace.
        if (only && others.length === 0) return await only(this);
        const result = await Promise.race(contenders.map((contender) => contender(this)));
        scope.cancel();
        return result;
      } catch (error) {
        scope.cancel();
        throw error;
      }
    });
  }

  full(beside = false): boolean {
    if (beside) return isLong();
    this.#plansLocals ??= [...allSteps(this.#plan)].some(isLocal);
    return isEnough({
      hasLocals: this.#plansLocals || this.#turns.begun > 0,
      calls: this.#activities.begun + this.#children.begun,
      locals: this.#turns.begun,
      waits: this.#waits,
      bytes: this.#room.all + this.#activities.received + this.#children.received + this.#segmentBytes,
    });
  }

  nearlyOver(): boolean {
    return isNearlyOver(this.#activities.underWay + this.#children.underWay);
  }

  carriedBytes(): number {
    return this.#noteBytes + bytesOf(this.waits.carried as unknown as Json);
  }

  report(stages: readonly StageRecord[]): void {
    this.#reported = stages;
    this.#show();
  }

  /** Sent through the worker, without a record in the history; sent twice if a worker dies. */
  publish(event: StageEvent, to: true | EventsTo): void {
    if (to === true) events.publish(event);
    else events.publish(eventWithin(event, to), to.run);
  }

  announce(wait: Wait, to: string): void {
    this.#told.tell(wait, to);
  }

  /** Waits that the delivery has been told of, in earlier histories too. */
  get told(): ToldWaits['carried'] {
    return this.#told.carried;
  }

  #show(): void {
    const ids = [...this.#storeless];
    // A segment's stages count as running until their rows arrive.
    const storeless = ({ stage, status }: StageRecord) => status === 'running' && ids.some((each) => each.has(stage));
    const doing = 'waits for the state store';
    this.#stages =
      ids.length === 0
        ? this.#reported
        : this.#reported.map((row) => (storeless(row) ? { ...row, status: 'waiting', doing } : row));
    setCurrentDetails(stageTableMarkdown(this.#stages, this.waits.open));
  }
}
