import { wellFormed } from './well-formed.js';

/**
 * The one error table. A code is stable: it is the `type` of Temporal's `ApplicationFailure`, the `code` of an HTTP
 * problem body (RFC 9457) and the `code` field of log lines.
 *
 * `retry` says what handles it:
 * - `never`  the same call would fail again (bad input, a bug); the stage fails immediately
 * - `retry`  the stage's retry policy calls again after its backoff
 * - `heal`   like `retry`, after the pool has repaired the endpoint (Triton: unload and load the model)
 */
export type RetryClass = 'never' | 'retry' | 'heal';

/** A row of the error table. */
export interface ErrorRow {
  /** HTTP status of the problem body when this error ends a request. */
  readonly status: number;
  readonly retry: RetryClass;
  /**
   * The failure may mean that the server, or a worker that can make the call, is away or has no free slot. If no server
   * received the call (`unsent`), the stage waits instead of using an attempt.
   */
  readonly waits?: true;
  /** One sentence for people; details of an occurrence go in the error's message. */
  readonly title: string;
}

/** The error table, by code. */
export const ERRORS = {
  // Requests.
  INVALID_INPUT: { status: 422, retry: 'never', title: 'The input does not fit the pipeline’s schema.' },
  INVALID_JSON: { status: 400, retry: 'never', title: 'The body is not valid JSON.' },
  EMPTY_BODY: { status: 400, retry: 'never', title: 'The request has no body.' },
  INVALID_MULTIPART: { status: 400, retry: 'never', title: 'The multipart body cannot be read.' },
  INVALID_HEADER: { status: 400, retry: 'never', title: 'A request header is malformed.' },
  UNSUPPORTED_CONTENT_TYPE: { status: 415, retry: 'never', title: 'This content type is not accepted here.' },
  UNAUTHENTICATED: { status: 401, retry: 'never', title: 'The request has no valid key or token.' },
  ISSUER_UNAVAILABLE: {
    status: 503,
    retry: 'retry',
    title: 'The keys of the identity provider cannot be read.',
  },
  FORBIDDEN: { status: 403, retry: 'never', title: 'The caller is authenticated but not permitted to do this.' },
  HEADERS_TOO_LARGE: { status: 431, retry: 'never', title: 'The request headers exceed the limit.' },
  BODY_TOO_LARGE: { status: 413, retry: 'never', title: 'The body or a media file exceeds the limit.' },
  INPUT_TOO_LARGE: { status: 413, retry: 'never', title: 'The input exceeds the size limit for starting a run.' },
  BODY_MEMORY_FULL: {
    status: 503,
    retry: 'retry',
    title: 'The gateway’s memory for bodies of requests and responses is full.',
  },
  INVALID_MEDIA: { status: 422, retry: 'never', title: 'The media file cannot be used.' },
  TOO_MANY_STREAMS: {
    status: 429,
    retry: 'retry',
    title: 'The caller’s limit of followed or awaited runs is reached.',
  },
  TOO_MANY_RUNS: { status: 429, retry: 'retry', title: 'The caller’s limit of concurrent runs is reached.' },
  OVERLOADED: {
    status: 503,
    retry: 'retry',
    waits: true,
    title: 'The queues are too long for the run’s deadline, or too many calls of its tenant wait.',
  },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    retry: 'never',
    title: 'This Idempotency-Key was already used with a different request.',
  },
  PIPELINE_NOT_FOUND: { status: 404, retry: 'never', title: 'No pipeline has this name.' },
  RUN_NOT_FOUND: { status: 404, retry: 'never', title: 'No run has this id.' },
  ARTIFACT_NOT_FOUND: { status: 404, retry: 'never', title: 'No artifact has this name or address.' },
  ROUTE_NOT_FOUND: { status: 404, retry: 'never', title: 'No route has this method and path.' },
  METHOD_NOT_ALLOWED: { status: 405, retry: 'never', title: 'This path does not support this method.' },
  RANGE_NOT_SATISFIABLE: { status: 416, retry: 'never', title: 'The artifact has no bytes in the requested range.' },
  REQUEST_TIMEOUT: { status: 408, retry: 'never', title: 'The request did not arrive in time.' },
  // Appears in logs only: the client has disconnected. nginx uses the same status.
  REQUEST_ABORTED: { status: 499, retry: 'never', title: 'The client disconnected before the response was sent.' },
  // Definition and loading of pipelines.
  INVALID_PIPELINE: { status: 500, retry: 'never', title: 'The pipeline definition is not valid.' },
  INVALID_SETTING: { status: 500, retry: 'never', title: 'A setting is not valid.' },
  UNKNOWN_PLAN_VERSION: { status: 500, retry: 'never', title: 'The plan was made by a different release of Millrace.' },
  MODEL_NOT_CONFIGURED: { status: 500, retry: 'never', title: 'No pool serves a model that the pipeline names.' },
  CAPABILITY_MISSING: { status: 500, retry: 'never', title: 'A pool lacks a capability that a stage needs.' },
  // Model servers, while a stage runs.
  BACKEND_UNAVAILABLE: {
    status: 503,
    retry: 'retry',
    waits: true,
    title: 'The model server cannot be reached.',
  },
  BACKEND_OVERLOADED: { status: 503, retry: 'retry', title: 'The model server has no capacity for the call.' },
  BACKEND_RATE_LIMITED: { status: 429, retry: 'retry', title: 'The rate limit of the model server is exhausted.' },
  BACKEND_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server did not answer in time.' },
  FIRST_CHUNK_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server sent no text or audio in time.' },
  IDLE_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server stopped sending in the middle of its answer.' },
  QUEUE_TIMEOUT: {
    status: 503,
    retry: 'retry',
    title: 'No model server accepted the call within the stage’s queue time.',
  },
  RATE_LIMITED: {
    status: 429,
    retry: 'retry',
    title: 'The rate limit of a pool, a tenant or an address is exhausted.',
  },
  NOT_CACHED: { status: 503, retry: 'never', title: 'Only a cached answer could be in time, and there is none.' },
  CONVERSION_UNAVAILABLE: { status: 422, retry: 'never', title: 'The media cannot be converted here.' },
  BACKEND_BROKEN: { status: 502, retry: 'heal', title: 'The model server is up, but its model is broken.' },
  BACKEND_ERROR: { status: 502, retry: 'retry', title: 'The model server failed.' },
  BACKEND_REJECTED: { status: 502, retry: 'never', title: 'The model server rejected the call.' },
  CONTEXT_TOO_LONG: {
    status: 400,
    retry: 'never',
    title: 'The conversation and its reply do not fit into the model’s context.',
  },
  BACKEND_UNAUTHORIZED: { status: 502, retry: 'never', title: 'The model server rejected the credentials.' },
  MODEL_NOT_FOUND: { status: 502, retry: 'retry', title: 'The model server does not have the model.' },
  MODEL_NOT_LOADED: { status: 502, retry: 'never', title: 'The model server could not load the model.' },
  LENGTH: {
    status: 502,
    retry: 'never',
    title: 'The model’s reply reached its token limit before it was usable.',
  },
  INVALID_OUTPUT: { status: 502, retry: 'retry', title: 'The model server’s answer does not fit the stage’s schema.' },
  CHECK_TOO_COSTLY: {
    status: 422,
    retry: 'never',
    title: 'Checking a value against a JSON Schema exceeds the limit of steps.',
  },
  CODE_FAILED: { status: 500, retry: 'retry', title: 'The function of a code stage threw an error.' },
  CODE_NOT_FOUND: { status: 503, retry: 'never', title: 'No worker has this version of a code stage’s function.' },
  ACTIVITY_FAILED: {
    status: 502,
    retry: 'never',
    title: 'An activity or workflow of another Temporal worker failed.',
  },
  KIND_NOT_FOUND: {
    status: 503,
    retry: 'retry',
    waits: true,
    title: 'The worker does not have the definition of a stage kind.',
  },
  ARTIFACT_CORRUPT: { status: 500, retry: 'never', title: 'An artifact’s bytes do not match its sha256.' },
  STORE_UNAVAILABLE: {
    status: 503,
    retry: 'retry',
    title: 'The artifact store, the vector index or the sessions cannot be read or written.',
  },
  STORE_FULL: {
    status: 507,
    retry: 'retry',
    title: 'The disk of the artifact store, or the Redis of the vector index, has no room left.',
  },
  QUOTA_EXCEEDED: { status: 507, retry: 'never', title: 'The tenant’s storage quota is used up.' },
  OUTPUT_BUDGET_EXCEEDED: {
    status: 422,
    retry: 'never',
    title: 'A stage wrote more media than one call is allowed to.',
  },
  STATE_STORE_FULL: { status: 503, retry: 'retry', title: 'The state store is out of memory.' },
  INDEX_NOT_FOUND: { status: 404, retry: 'never', title: 'The tenant has no vector index of this name.' },
  INDEX_MISMATCH: { status: 500, retry: 'never', title: 'The vector index was made with a different embedder.' },
  INDEX_UNSUPPORTED: { status: 500, retry: 'never', title: 'This Redis has no vector sets.' },
  LIMIT_REACHED: { status: 502, retry: 'never', title: 'A loop or an agent did not finish within its limit.' },
  INVALID_TOOL_CALL: {
    status: 502,
    retry: 'never',
    title: 'The model made invalid tool calls in several turns in a row.',
  },
  GUARDRAIL_STOPPED: { status: 422, retry: 'never', title: 'A guardrail stopped the agent.' },
  TOOL_FAILED: { status: 502, retry: 'never', title: 'A tool of an MCP server reported a failure.' },
  TOOLS_REFUSED: {
    status: 502,
    retry: 'never',
    title: 'The tools of an MCP server are too many or too large, or have an unsupported schema or name.',
  },
  TOOL_SERVER_UNAVAILABLE: { status: 503, retry: 'retry', title: 'An MCP server cannot be started or reached.' },
  TOOL_SERVER_NOT_CONFIGURED: {
    status: 500,
    retry: 'never',
    title: 'The MCP server is not configured on this worker.',
  },
  SANDBOX_NOT_CONFIGURED: { status: 500, retry: 'never', title: 'The sandbox is not configured on this worker.' },
  SANDBOX_UNAVAILABLE: { status: 503, retry: 'retry', title: 'A sandbox cannot be started or reached.' },
  SANDBOX_FAILED: {
    status: 502,
    retry: 'never',
    title: 'A sandbox refused a call, or its answer cannot be read.',
  },
  JOURNAL_UNAVAILABLE: { status: 503, retry: 'never', title: 'The journal of a segment cannot be written.' },
  WORKER_LOST: { status: 500, retry: 'never', title: 'Two workers in a row were lost while running this call.' },
  STREAM_CUT: {
    status: 502,
    retry: 'never',
    title: 'A streamed answer broke off or changed, and no attempt could continue what was already read.',
  },
  STREAM_FULL: {
    status: 503,
    retry: 'retry',
    title: 'A stream between stages has no room: its readers lag behind, or the state store is full.',
  },
  STREAM_LOST: { status: 500, retry: 'never', title: 'The state store has lost entries of a stream.' },
  STREAM_TAKEN: {
    status: 409,
    retry: 'retry',
    title: 'Another attempt writes the stream, or its run has been erased.',
  },
  RESULT_TOO_LARGE: { status: 500, retry: 'never', title: 'A result is too large for the run’s history.' },
  // Ends of runs.
  STAGE_TIMEOUT: { status: 504, retry: 'retry', title: 'A stage did not finish within its timeout.' },
  DEADLINE_EXCEEDED: { status: 504, retry: 'never', title: 'The run did not finish within the pipeline’s deadline.' },
  RUN_CANCELLED: { status: 409, retry: 'never', title: 'The run was cancelled.' },
  RUN_ENDED: { status: 409, retry: 'never', title: 'The run has ended.' },
  RUN_NOT_ENDED: { status: 409, retry: 'never', title: 'The run has not ended yet.' },
  NO_WEBHOOK: { status: 409, retry: 'never', title: 'The run has no webhook receiver.' },
  WEBHOOK_REFUSED: { status: 422, retry: 'never', title: 'Webhooks to this address are not allowed.' },
  WEBHOOK_UNDELIVERED: { status: 502, retry: 'never', title: 'A webhook could not be delivered.' },
  NOT_RESUMABLE: { status: 409, retry: 'never', title: 'The run cannot be resumed.' },
  RECORD_INCOMPLETE: {
    status: 409,
    retry: 'never',
    title: 'The record of the run lacks completed steps, which would run again.',
  },
  RECORD_GONE: {
    status: 500,
    retry: 'never',
    title: 'The run needs a recorded outcome that is gone or cannot be read.',
  },
  RESUME_DIVERGED: {
    status: 500,
    retry: 'never',
    title: 'A completed step would run again in a different way.',
  },
  NOT_WAITING: { status: 409, retry: 'never', title: 'The run is not waiting for this decision.' },
  ALREADY_DECIDED: { status: 409, retry: 'never', title: 'The wait has already been decided.' },
  CHILD_CANCELLED: { status: 409, retry: 'never', title: 'A child run was cancelled separately.' },
  RUN_FAILED: { status: 500, retry: 'never', title: 'The run failed.' },
  ORCHESTRATOR_UNAVAILABLE: { status: 503, retry: 'retry', title: 'Temporal cannot be reached.' },
  // The embedded stack (`millrace up`).
  STACK_UNSUPPORTED: { status: 500, retry: 'never', title: 'The embedded stack cannot run on this machine.' },
  STACK_INSTALL_FAILED: { status: 500, retry: 'never', title: 'A part of the embedded stack could not be installed.' },
  STACK_PORT_IN_USE: { status: 500, retry: 'never', title: 'Another process uses a port of the embedded stack.' },
  STACK_START_FAILED: { status: 500, retry: 'never', title: 'A part of the embedded stack failed to start.' },
  STACK_SETTINGS_CHANGED: { status: 409, retry: 'never', title: 'The embedded stack runs with different settings.' },
  // Making placements (`millrace place`).
  INVALID_INVENTORY: { status: 422, retry: 'never', title: 'The inventory of devices is not valid.' },
  INVALID_PROFILE: { status: 422, retry: 'never', title: 'A stage profile is not valid.' },
  INVALID_TRACE: { status: 422, retry: 'never', title: 'The trace of arrivals is not valid.' },
  INVALID_PLACEMENT: { status: 422, retry: 'never', title: 'The placement is not valid.' },
  INVALID_POLICY: { status: 422, retry: 'never', title: 'The policy for changing placements is not valid.' },
  PLACEMENT_CHANGED: {
    status: 409,
    retry: 'never',
    title: 'Somebody else has changed the placement during an automatic change.',
  },
  PLACEMENT_LOCKED: { status: 409, retry: 'never', title: 'Another process changes this placement automatically.' },
  PROFILE_STALE: {
    status: 422,
    retry: 'never',
    title: 'A profile is too old, or was measured on another model, server or device.',
  },
  PROFILE_UNMEASURED: { status: 502, retry: 'never', title: 'A model could not be measured.' },
  PROFILE_MISSING: { status: 422, retry: 'never', title: 'A model of the pipeline has no profile.' },
  MODEL_FITS_NOWHERE: { status: 422, retry: 'never', title: 'No device of the inventory has room for a model.' },
  SLO_UNREACHABLE: { status: 422, retry: 'never', title: 'No placement can meet the latency objective.' },
  PLACEMENT_INFEASIBLE: {
    status: 422,
    retry: 'never',
    title: 'The devices of the inventory cannot serve the load within the objective.',
  },
  GATEWAY_UNAVAILABLE: { status: 503, retry: 'retry', title: 'The gateway cannot be reached.' },
  INTERNAL: { status: 500, retry: 'never', title: 'An internal error of Millrace.' },
} as const satisfies Record<string, ErrorRow>;

/** A code of the error table. */
export type ErrorCode = keyof typeof ERRORS;

/** An invalid field, with its message. */
export type FieldError = {
  /** Path of the offending field as the caller wrote it: `speech`, `options.language`, or a header's name. */
  readonly field: string;
  readonly message: string;
};

/** Details of an error; all of them survive Temporal's failure encoding. */
export interface ErrorDetails {
  readonly fields?: readonly FieldError[];
  readonly stage?: string;
  /** The pipeline with the invalid definition. */
  readonly pipeline?: string;
  /** Where the author's code caused it: `pipelines.ts:12:5`, relative to the module of the pipelines. */
  readonly at?: string;
  /** The author's frames of its stack, in such paths. Shown in Temporal and logs, never to callers. */
  readonly stack?: string;
  readonly endpoint?: string;
  /** Wait before the next call requested by the server, in milliseconds (`retry-after`). */
  readonly retryAfterMs?: number;
  /** With `CONTEXT_TOO_LONG`: the model's context, in tokens, if the server states it. */
  readonly contextTokens?: number;
  /** With `CONTEXT_TOO_LONG`: tokens of the prompt, with the reply's limit if the server adds it, if it states them. */
  readonly neededTokens?: number;
  /** No model received the call: connection refused, server not ready, or no endpoint of the pool responds. */
  readonly unsent?: true;
  /** The state store did not take what the call is about: the stage waits for it. */
  readonly unreached?: true;
  /** The server loads the model: no model received the call. */
  readonly loading?: true;
  /** With `loading`: how long the model took to load before, in milliseconds, if that is known. */
  readonly loadMs?: number;
  /** The pool that has no endpoint for the call, if it is not the stage's own model. */
  readonly pool?: string;
  /** Another endpoint of the pool may succeed; this one would fail the same way again. */
  readonly elsewhere?: true;
  /** The call has ended, and the outcome that it has recorded cannot be read: to make it again would be to repeat it. */
  readonly recorded?: true;
  /** With `RESUME_DIVERGED`: the call has succeeded with another input. Absent: it has not, and the run before went on without it. */
  readonly differs?: true;
  /** The attempt had not opened its streams, since the state store was away: it has committed nothing of them. */
  readonly unstreamed?: true;
  /** No further attempt is made, which would fail the same way: as the call did in the run that this one resumes, for instance. */
  readonly final?: true;
}

/** The only error class that Millrace throws deliberately. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: { cause?: unknown },
  ) {
    super(wellFormed(message), options);
  }
}

/** Whether a value is a code of the error table. */
export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(ERRORS, code);

export const errorRow = (code: ErrorCode): ErrorRow => ERRORS[code];

/** Whether a stage failed without a call, because its server is away or its worker has no room: it then waits and uses no attempt. */
export const isAway = ({ code, details }: { readonly code: string; readonly details: object }): boolean =>
  isErrorCode(code) && errorRow(code).waits === true && (details as ErrorDetails).unsent === true;

/** Whether another attempt waits for what is away, and uses none of those that its policy allows: a server, or the state store. */
export const isWaitedFor = (error: { readonly code: string; readonly details: object }): boolean =>
  isAway(error) || (error.code === 'STORE_UNAVAILABLE' && (error.details as ErrorDetails).unreached === true);

/** Whether a stream was lost: whoever reads it takes the list, or begins again. */
export const isStreamLost = (error: unknown): error is MillraceError =>
  error instanceof MillraceError && error.code === 'STREAM_LOST';

/** A displayable message for any thrown value. */
export const messageOf = (error: unknown): string => wellFormed(error instanceof Error ? error.message : String(error));
