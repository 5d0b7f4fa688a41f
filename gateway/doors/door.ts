import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Pipeline } from '../../pipelines/definition/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { Priority } from '../../pipelines/plan/index.js';
import type { RunDocument } from '../../pipelines/run/document.js';
import type { RunEvent } from '../../pipelines/run/index.js';

/**
 * A protocol of your own by which pipelines are called, served by the gateway below a prefix. Its requests are
 * authenticated like all others: they need a key where keys are in use, and belong to its tenant.
 */
export interface Door {
  /** The path that its routes are below, such as `/slack`: lower-case letters, digits and dashes. */
  readonly prefix: string;
  /**
   * Adds its routes. A JSON body arrives as its value, any other as a `Buffer`; both count against the gateway’s memory
   * for bodies, and are at most `MILLRACE_MAX_JSON_BYTES` long; JSON has at most some 100,000 values. A thrown `MillraceError` is answered with its status. A
   * `GET` needs the permission `read`, other methods `run`, unless a route has `config: { permission }`.
   */
  routes(app: FastifyInstance, gateway: DoorGateway): void | Promise<void>;
}

/** What a door can request from the gateway, always on behalf of a request’s caller. */
export interface DoorGateway {
  /** The tenant of the request. */
  tenantOf(request: FastifyRequest): string;
  /** The pipelines that the caller may use. */
  pipelines(request: FastifyRequest): readonly Pipeline[];
  /**
   * Starts a run and waits for its end, for at most `waitMs`. The document has the status `running` if it has not ended
   * by then, and the error if the run failed. Throws `PIPELINE_NOT_FOUND`, `INVALID_INPUT` naming the fields, `FORBIDDEN`,
   * and the errors of limits, such as `TOO_MANY_RUNS`.
   */
  start(request: FastifyRequest, order: DoorOrder): Promise<RunDocument>;
  /** A run of the tenant. Throws `RUN_NOT_FOUND`. */
  read(request: FastifyRequest, run: string): Promise<RunDocument>;
  /** The events of a run from its first on, until it has ended or the client has disconnected. Throws `RUN_NOT_FOUND`. */
  follow(request: FastifyRequest, run: string): AsyncIterable<RunEvent>;
  /** Requests that a running run is cancelled. Throws `RUN_NOT_FOUND`, `RUN_ENDED`. */
  cancel(request: FastifyRequest, run: string): Promise<void>;
  /** The bytes of an artifact in a run’s output. Throws `ARTIFACT_NOT_FOUND`. */
  media(request: FastifyRequest, uri: string): AsyncIterable<Uint8Array>;
}

/** A run that a door starts. */
export interface DoorOrder {
  /** The pipeline’s name. */
  readonly pipeline: string;
  /** Media as in JSON bodies: base64 with their type, or artifacts. */
  readonly input: JsonObject;
  /** 1 to 255 visible ASCII characters; the same key starts no second run. */
  readonly idempotencyKey?: string;
  /** Wanted fields of the output. */
  readonly outputs?: readonly string[];
  readonly priority?: Priority;
  /** Longest wait for the end, in milliseconds; at most `MILLRACE_MAX_WAIT_MS`. Default: 0, no wait. */
  readonly waitMs?: number;
}

/** What a door’s prefix must look like. */
export const DOOR_PREFIX = /^(\/[a-z0-9]+(-[a-z0-9]+)*)+$/;
