import type { Json, JsonObject } from '../../pipelines/json.js';
import type { StageCall, StageOutcome, StagePlan, StageRecord } from '../../pipelines/plan/index.js';

/**
 * What the interpreter needs from the place it runs in. The Temporal workflow is one host, an in-process host the other;
 * a plan means the same in both. Everything that touches a clock, a network or another process is behind this port.
 */
export interface Host {
  /** Runs a stage to its end under its policy. Rejects with a `StageError`, or with a cancellation. */
  runStage(stage: StagePlan, input: JsonObject, call: StageCall): Promise<StageOutcome>;
  /** The run's clock, in milliseconds; the same when a run is replayed. */
  now(): number;
  /** Resolves after `ms` milliseconds. `what` is what people see while it lasts. */
  wait(ms: number, what: string): Promise<void>;
  /** Resolves with the next message sent to the run under `name`, one sent before the call included. */
  signal(name: string): Promise<Json>;
  /**
   * Starts all contenders and settles as the first that settles does; what the others, or one that failed, have left
   * running is cancelled. Each contender gets a host of its own to work through.
   */
  race<T>(contenders: readonly ((host: Host) => Promise<T>)[]): Promise<T>;
  /** Takes the stage table after each change. */
  report(stages: readonly StageRecord[]): void;
}

/** A stage, or the run as a whole, has failed for good. */
export class StageError extends Error {
  constructor(
    /** A code of the error table. */
    readonly code: string,
    message: string,
    readonly details: JsonObject = {},
  ) {
    super(message);
  }
}
