import type { JsonObject } from '../../pipelines/json.js';
import type { StagePlan, SubPipelinePlan } from '../../pipelines/plan/index.js';
import type {
  Decision,
  RunContext,
  RunEvent,
  Segment,
  SegmentOutcome,
  StageCall,
  StageOutcome,
  StagePlacement,
  StageRecord,
  Wait,
} from '../../pipelines/run/index.js';
import type { StageError } from '../../pipelines/run/stage-error.js';

/**
 * What the interpreter needs from the place it runs in. The Temporal workflow is one host, an in-process host the other;
 * a plan means the same in both. Everything that touches a clock, a network or another process is behind this port.
 */
export interface RunHost extends StageHost {
  /**
   * Runs inline steps together, near the interpreter, with a record of each that has ended. Absent where `runStage` is as
   * near.
   */
  runSegment?(segment: Segment): Promise<SegmentOutcome>;
  /** Runs another pipeline as a run of its own and gives its output. Rejects with a `StageError`. */
  runChild(step: SubPipelinePlan, input: JsonObject, context: RunContext, path: string): Promise<JsonObject>;
  /** A text that no other call gives, of this run or of another; the same when a run is replayed. */
  nonce(): string;
  /**
   * Opens a wait and resolves with the decision on it, one from an earlier history included; with undefined as soon as
   * `giveUp` holds: it is then opened again in the next history, and what is decided meanwhile is kept for it.
   */
  decision(wait: Wait, giveUp: () => boolean): Promise<Decision | undefined>;
  /** Closes a wait: no decision on it is accepted any more. The decision that has been accepted, if one has. */
  close(nonce: string): Decision | undefined;
  /**
   * Starts all contenders and settles as the first that settles does; what the others, or one that failed, have left
   * running is cancelled. Each contender gets a host of its own to work through.
   */
  race<T>(contenders: readonly ((host: RunHost) => Promise<T>)[]): Promise<T>;
  /** Whether the run should go on in a new history: loops then stop between two rounds or items. */
  full(): boolean;
  /** Takes the stage table after each change. */
  report(stages: readonly StageRecord[]): void;
  /** Takes what only the interpreter sees of a run that is watched. Absent where nobody can watch. */
  tell?(event: RunEvent): void;
}

/** What one stage needs of its host. */
export interface StageHost {
  /** Runs a stage to its end under its policy. Rejects with a `StageError`, or with a cancellation. */
  runStage(
    stage: StagePlan,
    input: JsonObject,
    call: StageCall,
    placed: StagePlacement,
    shown?: Shown,
  ): Promise<StageOutcome>;
  /**
   * The first of some queues that a worker serves, or the first where nobody can say; undefined where none does, and then
   * `code` is noted as missing. Absent where nothing waits in queues.
   */
  serving?(queues: readonly string[], code: string): Promise<string | undefined>;
  /** The run's clock, in milliseconds; the same when a run is replayed. */
  now(): number;
  /** Resolves after `ms` milliseconds. `what` is what people see while it lasts. */
  wait(ms: number, what: string): Promise<void>;
}

/** How people see a call that is a part of its stage, where the host can show it. */
export interface Shown {
  /** In place of the stage's id. */
  readonly type: string;
  readonly summary: string;
}

/** Code of a `StageError` that hands what a segment has not done back to the queues: a server that it needs is away. */
export const HANDED_BACK = 'HANDED_BACK';

/** Whether a segment ends here and what it has not done is run step by step: no failure of a stage. */
export const interrupts = ({ code }: Pick<StageError, 'code'>): boolean =>
  code === 'JOURNAL_UNAVAILABLE' || code === HANDED_BACK;

/** Whether no fallback and no control flow deals with a failure: the segment ends here, or nobody knows what had ended before. */
export const concernsAll = (error: Pick<StageError, 'code'>): boolean =>
  interrupts(error) || error.code === 'RECORD_GONE';
