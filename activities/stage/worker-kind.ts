import type { AudioPort } from '../../media/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Priority } from '../../pipelines/plan/index.js';

/** A stage kind that the worker itself carries out: no model server, no pool. Throws a `MillraceError`. */
export type WorkerKind = (request: WorkerRequest, context: WorkerContext) => Promise<JsonObject>;

export interface WorkerRequest {
  /** What the stage names in place of a pool: of `retrieve` and `upsert` the index. */
  readonly model: string;
  readonly with: JsonObject;
  /** Checked against the kind's schema. */
  readonly input: JsonObject;
  readonly tenant: string;
  /** Of the calls that it makes of pools. Absent: `default`. */
  readonly priority?: Priority;
}

export interface WorkerContext {
  readonly signal: AbortSignal;
  readonly audio: AudioPort;
  /** The same in every attempt of a call of a run, and no other's. */
  readonly idempotencyKey: string;
}
