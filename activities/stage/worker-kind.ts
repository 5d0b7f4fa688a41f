import type { AudioPort } from '../../media/index.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { Priority } from '../../pipelines/plan/index.js';
import type { Elicited, Question } from '../../pipelines/run/index.js';
import type { HeldSlot } from './held-slot.js';

/** A stage kind that the worker itself serves: no model server, no pool. Throws a `MillraceError`. */
export type WorkerKind = (request: WorkerRequest, context: WorkerContext) => Promise<JsonObject>;

export interface WorkerRequest {
  /** The stage's name in place of a pool; for `retrieve` and `upsert` the index. */
  readonly model: string;
  readonly with: JsonObject;
  /** Checked against the kind's schema. */
  readonly input: JsonObject;
  readonly tenant: string;
  /** Whose allowance of the embedding cache its vectors take. Absent: the tenant's alone. */
  readonly insertedBy?: string;
  /** Priority of its calls of pools. Absent: `default`. */
  readonly priority?: Priority;
}

export interface WorkerContext {
  readonly signal: AbortSignal;
  readonly audio: AudioPort;
  /** Identical in every attempt of a call of a run and unique to it. */
  readonly idempotencyKey: string;
  /** As an attempt's: awaited just before what changes something elsewhere, if that may have waited. Absent: the call changes nothing. */
  readonly mayBegin?: () => Promise<void>;
  /** As a connector's: the next attempt finds the last value in `resumeFrom`. */
  readonly checkpoint?: (progress: Json) => void;
  readonly resumeFrom?: Json;
  /** As an attempt's: asks a person while the call is open. */
  readonly ask?: (question: Question) => Promise<Elicited>;
  /** The attempt's slot, given up while a call waits for its turn. Absent: its host has none that others wait for. */
  readonly slot?: Pick<HeldSlot, 'leave' | 'take'>;
}
