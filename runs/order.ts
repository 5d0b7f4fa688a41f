import type { OnLeave, Pipeline } from '../pipelines/definition/index.js';
import type { JsonObject } from '../pipelines/json.js';
import type { Caller } from './caller.js';
import type { RunOptions } from './options.js';

/** A request for a run, independent of the door's protocol. */
export interface Order {
  readonly pipeline: Pipeline;
  readonly caller: Caller;
  /** After parsing by the pipeline's schema. */
  readonly input: JsonObject;
  /** Hash of what was sent (`orderInput`): other versions of the pipeline make another input of it. Absent: nobody has to know it again. */
  readonly sent?: string | undefined;
  readonly idempotencyKey?: string | undefined;
  /**
   * Which retry of the client it is: 0 for a first request, of which a retry may follow. Absent: it is none, and none
   * will be recognised.
   */
  readonly retry?: number | undefined;
  /** What the request states about a caller that leaves. */
  readonly onLeave?: OnLeave | undefined;
  readonly options?: RunOptions | undefined;
  /** What it asks of the run, where the options say that by the version of the pipeline, as by the fields that there are. Absent: the options. */
  readonly asks?: JsonObject | undefined;
  /** Receivers may subscribe to the run while it is under way; it starts some 20 ms later. */
  readonly subscribable?: boolean;
  /** What the door keeps with the run, for as long as the run is kept; it does not reach the pipeline. */
  readonly notes?: JsonObject | undefined;
}
