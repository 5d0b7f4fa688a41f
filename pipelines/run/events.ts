import type { Artifact } from '../artifact.js';
import type { JsonObject } from '../json.js';
import type { Wait } from './waits.js';

/**
 * Observable events of a run in progress. `stage` is the stage's id, `path` its position in the run
 * (`chunks[3]/transcribe`, `answer/turn-2`).
 *
 * A retried stage starts again with the next attempt: discard the text of the attempt before.
 */
export type RunEvent = StageEvent | EventsLost;

/** An event of one stage. */
export type StageEvent =
  | StageStarted
  | StageDelta
  | StageAudio
  | StageFinished
  | StageFailed
  | StageWaitingFor
  | StageWaiting
  | StageDecided;

/**
 * Events are missing here: the store could not be reached, or was full. The run's document is complete nevertheless.
 */
export interface EventsLost {
  readonly type: 'events.lost';
  /** Number of missing events, if known. */
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

/** More of the stage's text: tokens of a reply, words from a window of speech. */
export interface StageDelta extends OfStage {
  readonly type: 'stage.delta';
  readonly text: string;
}

/**
 * A piece of the stage's audio, as soon as it is made: a sentence. Pieces of another attempt go on with the next number:
 * none is void. After a worker was lost the last one may be sent again, with the same number.
 */
export interface StageAudio extends OfStage {
  readonly type: 'stage.audio';
  /** From 0. */
  readonly number: number;
  /** What is spoken, with the white space before it. */
  readonly text: string;
  /** Where it begins in the whole text, in UTF-16 units. */
  readonly at: number;
  /** The piece: a file with its format and length. */
  readonly audio: Artifact;
  /** The file in base64, where a follower gets it with the event. */
  readonly data?: string;
}

export interface StageFinished extends OfStage {
  readonly type: 'stage.finished';
  readonly cache: string;
  /** Milliseconds of this attempt. */
  readonly runMs: number;
}

/** An attempt failed; another may follow. */
export interface StageFailed extends OfStage {
  readonly type: 'stage.failed';
  /** A code of the error table. */
  readonly code: string;
  readonly message: string;
}

/** The attempt found no server to call and waits for one; sent once per outage. */
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

/** The wait ended: a person decided, or the stage's default applies. */
export interface StageDecided extends OfStage {
  readonly type: 'stage.decided';
  /** Nonce of the wait. */
  readonly nonce: string;
  readonly approved: boolean;
  /** Who decided: a name, `person`, or `timeout`. */
  readonly by: string;
  /** Identity authenticated by the gateway (`StageDecision`). */
  readonly actor?: string;
  readonly reason?: string;
  /** Arguments in place of the model's. */
  readonly arguments?: JsonObject;
  /** Covers later calls of the tool too. */
  readonly scope?: 'run';
}
