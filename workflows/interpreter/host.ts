import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StagePlan, SubPipelinePlan } from '../../pipelines/plan/index.js';
import type {
  Change,
  ChannelRef,
  Decision,
  Elicited,
  EntryRef,
  EventsTo,
  Question,
  RunContext,
  RunResult,
  Segment,
  SegmentOutcome,
  StageCall,
  StageEvent,
  StageOutcome,
  StagePlacement,
  StageRecord,
  Wait,
} from '../../pipelines/run/index.js';
import type { StageError } from '../../pipelines/run/stage-error.js';
import type { Deadline } from './deadline.js';
import { HistoryFull } from './history-full.js';

/**
 * What the interpreter needs from its environment: a Temporal workflow or an in-process host. A plan has the same
 * meaning in both. All access to clocks, networks and other processes goes through this port.
 */
export interface RunHost extends StageHost {
  /**
   * Runs inline steps together, close to the interpreter, and records each that has ended. Absent where `runStage` is
   * just as close.
   */
  runSegment?(segment: Segment): Promise<SegmentOutcome>;
  /**
   * Runs another pipeline as a separate run. Rejects with a `StageError`, whose details have the `usage` of the run.
   */
  runChild(step: SubPipelinePlan, input: JsonObject, context: RunContext, path: string): Promise<RunResult>;
  /**
   * When the run was started, by the clock of `now`. Absent: its interpreter starts with it. A workflow’s code may see a later
   * time first: while its first segment runs, a worker that takes over begins at the latest of its tasks.
   */
  readonly startedAt?: number;
  /** A text unique across calls and runs; the same on replay. */
  nonce(): string;
  /**
   * Opens a wait and resolves with its decision, including one from an earlier history. Resolves with undefined as soon
   * as `giveUp` holds: the wait is opened again in the next history, and a decision made meanwhile is kept for it.
   */
  decision(wait: Wait, giveUp: () => boolean): Promise<Decision | undefined>;
  /** Closes a wait: further decisions on it are rejected. Returns the accepted decision, if any. */
  close(nonce: string): Decision | undefined;
  /**
   * Starts all contenders and settles like the first that settles; work left running by the others, or by one that
   * failed, is cancelled. Each contender has its own host.
   */
  race<T>(contenders: readonly ((host: RunHost) => Promise<T>)[]): Promise<T>;
  /**
   * Whether the run should continue in a new history: loops then stop between two rounds or items.
   * @param beside another step makes what the loop reads, and cannot end before: only when the history must not grow much more
   */
  full(beside?: boolean): boolean;
  /**
   * Whether the history has room for little more than the end of the run: a loop that cannot stop for a new one has to fail. Absent: there is
   * no history.
   */
  nearlyOver?(): boolean;
  /** Receives the deadline of the run: what waits for a place is limited by what is left of it then. Absent where nothing waits. */
  within?(deadline: Deadline): void;
  /**
   * Resolves when a loop may begin another item, while as much is under way as the host takes; undefined: at once. Absent where it takes anything.
   * Rejects with a cancellation.
   * @param giveUp whether the loop has to stop: it then resolves too
   * @param startsRuns an item may start child runs
   */
  itemTurn?(giveUp: () => boolean, startsRuns: boolean): Promise<void> | undefined;
  /** Bytes that a new history begins with besides the input, the context and what the interpreter has. Absent: none. */
  carriedBytes?(): number;
  /** Whether something still runs, or is being told, that the interpreter does not wait for any more; the run goes on in a new history after `settled`. */
  readonly busy?: boolean;
  settled?(): Promise<void>;
  /** Reads and writes the streams of an `each`. Absent where the interpreter has no channels: they are collected. */
  readonly pieces?: Pieces | undefined;
  /** Receives the stage table after each change. */
  report(stages: readonly StageRecord[]): void;
  /** Tells the workflow `to` that a wait for a person has begun. Absent where there is none. */
  announce?(wait: Wait, to: string): void;
  /** Receives events that only the interpreter sees, of a run that may be followed. Absent where none can be. */
  publish?(event: StageEvent, to: true | EventsTo): void;
}

/** Streams that the interpreter itself reads and writes. What they throw are `StageError`s, and the cancellation. */
export interface Pieces {
  /** The entries of a stream as they are committed; `STREAM_LOST` if the store has lost them. Who reads no further calls `close`. */
  read(channel: ChannelRef, by: Reading): PieceReader;
  /** The stream `entries` of the step at a path. */
  write(path: string, by: Writing): Promise<PieceWriter>;
}

/** The step that reads or writes. */
interface ByStep {
  readonly step: string;
  /** Milliseconds that it may still take. Throws `DEADLINE_EXCEEDED` if there are none. */
  leftMs(): number;
}

export interface Reading extends ByStep {
  readonly path: string;
  /** The interpreter computes with the values: it needs them itself. */
  readonly values: boolean;
  /** Index of the first of the pieces read so far that is still needed; their number if none is. */
  needed(): number;
  /** Whether the producer has ended. */
  over(): boolean;
}

export interface Writing extends ByStep {
  /** Maximum duration of the run, in milliseconds. */
  readonly runMs: number;
}

/** An entry of a stream, or an item of a list: its value, or where workers find it. */
export interface Piece {
  readonly value?: Json;
  readonly entry?: EntryRef;
  /** Of the value, as `digestOf` gives it. Absent: not known. */
  readonly digest?: string;
}

export interface PieceReader {
  /** Undefined at the end, and when nothing more is read. */
  next(): Promise<Piece | undefined>;
  /** Reads nothing more: what waits for an entry gets none. */
  close(): void;
}

export interface PieceWriter {
  /** Passes values on. Those that were passed on before the interpreter was lost are compared: `STREAM_CUT` if one is another. */
  add(...values: readonly Json[]): Promise<void>;
  /** There are no more. */
  end(): Promise<void>;
  /** Writes nothing more. */
  close(): void;
}

/** What one stage needs from its host. */
export interface StageHost {
  /** Its stages can read and write channels. Absent: streams are collected. */
  readonly streams?: boolean;
  /**
   * Runs a stage to its end under its policy. Rejects with a `StageError`, or with a cancellation.
   * @param answer answers what the call asks while it is open
   */
  runStage(
    stage: StagePlan,
    input: JsonObject,
    call: StageCall,
    placed: StagePlacement,
    shown?: Shown,
    answer?: Answering,
  ): Promise<StageOutcome>;
  /**
   * How a call ended in an earlier process that ran the same segment: its outcome stays, and needs no time. Absent where none has ended.
   */
  readonly endedBefore?: ((call: StageCall) => 'succeeded' | 'failed' | undefined) | undefined;
  /**
   * The first of some queues that a worker serves, or the first if that is unknown; undefined if none is served, in
   * which case `code` is recorded as missing. Absent where there are no queues.
   */
  serving?(queues: readonly string[], code: string): Promise<string | undefined>;
  /**
   * Whether a change of what the interpreter commands holds in this run; false where its history was made without it. Asked only where
   * the commands differ. Absent where nothing is replayed: every change holds.
   */
  since?(change: Change): boolean;
  /** The run's clock, in milliseconds; the same on replay. */
  now(): number;
  /** Resolves after `ms` milliseconds. `what` is displayed meanwhile. */
  wait(ms: number, what: string): Promise<void>;
}

/**
 * Answers a question of a call that is open in a worker. Does not reject but with a cancellation.
 * @param over resolves when nobody waits for the answer any more
 */
export type Answering = (question: Question, over: Promise<void>) => Promise<Elicited>;

/** How a call that is part of its stage is displayed, where the host supports it. */
export interface Shown {
  /** Displayed instead of the stage's id. */
  readonly type: string;
  readonly summary: string;
}

/** Code of a `StageError` that returns the remaining steps of a segment to their queues because a server is away. */
export const HANDED_BACK = 'HANDED_BACK';

/**
 * Code of a `StageError` for an entry of a channel that a call, or a segment, should have read: the store has lost it. The `each` whose item the
 * entry is takes the collected list; nothing in between is a failure.
 */
export const ENTRY_LOST = 'ENTRY_LOST';

/** Whether the segment ends here and its remaining steps run one by one; not a failure of a stage. */
export const interrupts = ({ code }: Pick<StageError, 'code'>): boolean =>
  code === 'JOURNAL_UNAVAILABLE' || code === HANDED_BACK;

/**
 * Whether fallbacks and control flow must not handle a failure: the segment ends here, it is unknown what had ended, a call that has succeeded
 * would be another one, an entry is lost, or the history is nearly over. A race goes on after the last two as long as another contender may win.
 */
export const concernsAll = (error: Pick<StageError, 'code' | 'details'>, host: Pick<StageHost, 'since'>): boolean =>
  interrupts(error) ||
  error.code === 'RECORD_GONE' ||
  error.code === ENTRY_LOST ||
  error instanceof HistoryFull ||
  (error.code === 'RESUME_DIVERGED' && error.details.differs === true && holds(host, 'diverged-runs-fail'));

/** Whether a change holds in a run on this host. */
export const holds = (host: Pick<StageHost, 'since'>, change: Change): boolean => host.since?.(change) ?? true;
