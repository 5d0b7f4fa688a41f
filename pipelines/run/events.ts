import type { Wait } from './waits.js';

/**
 * What can be seen of a run while it runs. `stage` is the stage's id, `path` where the stage stands in the run
 * (`chunks[3]/transcribe`, `answer/turn-2`).
 *
 * A stage that is tried again starts again, with the next attempt: the text of the attempt before does not count.
 */
export type RunEvent = StageEvent | EventsLost;

/** What a stage does. */
export type StageEvent =
  | StageStarted
  | StageDelta
  | StageFinished
  | StageFailed
  | StageWaitingFor
  | StageWaiting
  | StageDecided;

/** Here events are missing: the store could not be reached, or was full. The run's document is whole all the same. */
export interface EventsLost {
  readonly type: 'events.lost';
  /** How many, where it is known. */
  readonly count?: number;
}

interface OfStage {
  readonly stage: string;
  readonly path: string;
  /** From 1. */
  readonly attempt: number;
}

export interface StageStarted extends OfStage {
  readonly type: 'stage.started';
  readonly kind: string;
  readonly model: string;
}

/** More of the stage's text: tokens of a reply, words of a window of speech. */
export interface StageDelta extends OfStage {
  readonly type: 'stage.delta';
  readonly text: string;
}

export interface StageFinished extends OfStage {
  readonly type: 'stage.finished';
  readonly cache: string;
  /** Milliseconds of this attempt. */
  readonly runMs: number;
}

/** An attempt has failed; another may follow. */
export interface StageFailed extends OfStage {
  readonly type: 'stage.failed';
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
}

/** The attempt has found no server to call and waits until one is back; told once for each outage that it meets. */
export interface StageWaitingFor extends OfStage {
  readonly type: 'stage.waiting_for';
  /** The model whose server is away. */
  readonly model: string;
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
}

/** The stage, or a call of it, waits for a person. */
export interface StageWaiting extends OfStage, Omit<Wait, 'stage' | 'path'> {
  readonly type: 'stage.waiting';
}

/** The wait is over: a person has decided, or the stage's own default holds. */
export interface StageDecided extends OfStage {
  readonly type: 'stage.decided';
  /** Of the wait. */
  readonly nonce: string;
  readonly approved: boolean;
  /** Who decided: a name, `person`, or `timeout`. */
  readonly by: string;
  /** Whom the gateway has authenticated (`StageDecision`). */
  readonly actor?: string;
}
