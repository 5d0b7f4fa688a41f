/**
 * The one error table. A code is stable: it is the `type` of Temporal's `ApplicationFailure`, the `code` of an HTTP
 * problem body (RFC 9457) and the `code` field of log lines.
 *
 * `retry` says who acts on it:
 * - `never`  the same call would fail again (bad input, a bug); the stage fails at once
 * - `retry`  the stage's own retry policy calls again after its backoff
 * - `heal`   as `retry`, and the pool first repairs the endpoint (for Triton: unload and load the model)
 */
export type RetryClass = 'never' | 'retry' | 'heal';

export interface ErrorRow {
  /** HTTP status of the problem body when this error ends a request. */
  readonly status: number;
  readonly retry: RetryClass;
  /**
   * A server that is away fails with it. Where no server has got the call (`unsent`), the stage waits for the server instead
   * of using up its attempts.
   */
  readonly waits?: true;
  /** One sentence for a person; details of the one case go in the error's message. */
  readonly title: string;
}

export const ERRORS = {
  // At the door: what the caller sent.
  INVALID_INPUT: { status: 422, retry: 'never', title: 'The input does not fit the pipeline’s schema.' },
  INVALID_JSON: { status: 400, retry: 'never', title: 'The body is not valid JSON.' },
  EMPTY_BODY: { status: 400, retry: 'never', title: 'The request has no body.' },
  INVALID_MULTIPART: { status: 400, retry: 'never', title: 'The multipart body cannot be read.' },
  INVALID_HEADER: { status: 400, retry: 'never', title: 'A request header is malformed.' },
  UNSUPPORTED_CONTENT_TYPE: { status: 415, retry: 'never', title: 'This content type is not accepted here.' },
  UNAUTHENTICATED: { status: 401, retry: 'never', title: 'The request shows no valid key.' },
  FORBIDDEN: { status: 403, retry: 'never', title: 'The caller is known and may not do this.' },
  HEADERS_TOO_LARGE: { status: 431, retry: 'never', title: 'The request’s headers are above the limit.' },
  BODY_TOO_LARGE: { status: 413, retry: 'never', title: 'The body or a media file is above the limit.' },
  INPUT_TOO_LARGE: { status: 413, retry: 'never', title: 'The input is above what a run can start with.' },
  BODY_MEMORY_FULL: {
    status: 503,
    retry: 'retry',
    title: 'The gateway holds as many bytes of requests’ bodies in memory as it may.',
  },
  INVALID_MEDIA: { status: 422, retry: 'never', title: 'The media file cannot be used.' },
  TOO_MANY_STREAMS: { status: 429, retry: 'retry', title: 'The caller follows or waits for as many runs as it may.' },
  TOO_MANY_RUNS: { status: 429, retry: 'retry', title: 'The caller has as many runs going on as it may.' },
  OVERLOADED: { status: 503, retry: 'retry', title: 'Queues are too long for the run to end within its deadline.' },
  IDEMPOTENCY_KEY_REUSED: {
    status: 422,
    retry: 'never',
    title: 'This Idempotency-Key was used before with another request.',
  },
  PIPELINE_NOT_FOUND: { status: 404, retry: 'never', title: 'No pipeline has this name.' },
  RUN_NOT_FOUND: { status: 404, retry: 'never', title: 'No run has this id.' },
  ARTIFACT_NOT_FOUND: { status: 404, retry: 'never', title: 'No artifact has this name or address.' },
  ROUTE_NOT_FOUND: { status: 404, retry: 'never', title: 'No route has this method and path.' },
  METHOD_NOT_ALLOWED: { status: 405, retry: 'never', title: 'This path does not take this method.' },
  RANGE_NOT_SATISFIABLE: { status: 416, retry: 'never', title: 'The artifact has no bytes in the requested range.' },
  REQUEST_TIMEOUT: { status: 408, retry: 'never', title: 'The request did not arrive in time.' },
  // Only ever seen in logs: nobody is left to answer. The status is nginx's for the same case.
  REQUEST_ABORTED: { status: 499, retry: 'never', title: 'The client left before it was answered.' },
  // While a pipeline is written or loaded.
  INVALID_PIPELINE: { status: 500, retry: 'never', title: 'The pipeline definition is not valid.' },
  INVALID_SETTING: { status: 500, retry: 'never', title: 'A setting is not valid.' },
  UNKNOWN_PLAN_VERSION: { status: 500, retry: 'never', title: 'The plan was made by another release of Millrace.' },
  MODEL_NOT_CONFIGURED: { status: 500, retry: 'never', title: 'No pool serves a model that the pipeline names.' },
  CAPABILITY_MISSING: { status: 500, retry: 'never', title: 'A pool cannot do what a stage needs of it.' },
  // While a stage runs: what a model server did.
  BACKEND_UNAVAILABLE: {
    status: 503,
    retry: 'retry',
    waits: true,
    title: 'The model server cannot be reached.',
  },
  BACKEND_OVERLOADED: { status: 503, retry: 'retry', title: 'The model server has no room for the call.' },
  BACKEND_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server did not answer in time.' },
  FIRST_CHUNK_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server gave nothing useful in time.' },
  IDLE_TIMEOUT: { status: 504, retry: 'retry', title: 'The model server fell silent in the middle of its answer.' },
  QUEUE_TIMEOUT: { status: 503, retry: 'retry', title: 'No model server took the call within the stage’s queue time.' },
  RATE_LIMITED: { status: 429, retry: 'retry', title: 'The rate limit of a pool, a tenant or an address is used up.' },
  NOT_CACHED: { status: 503, retry: 'never', title: 'There was time for a cached answer only, and there is none.' },
  CONVERSION_UNAVAILABLE: { status: 422, retry: 'never', title: 'The media cannot be converted here.' },
  BACKEND_BROKEN: { status: 502, retry: 'heal', title: 'The model server is up but the model behind it is broken.' },
  BACKEND_ERROR: { status: 502, retry: 'retry', title: 'The model server failed.' },
  BACKEND_REJECTED: { status: 502, retry: 'never', title: 'The model server does not accept the call.' },
  BACKEND_UNAUTHORIZED: { status: 502, retry: 'never', title: 'The model server refuses the credentials.' },
  MODEL_NOT_FOUND: { status: 502, retry: 'retry', title: 'The model server does not have the model.' },
  INVALID_OUTPUT: { status: 502, retry: 'retry', title: 'The model server’s answer does not fit the stage’s schema.' },
  CHECK_TOO_COSTLY: {
    status: 422,
    retry: 'never',
    title: 'Checking a value by a JSON Schema takes more steps than are given to it.',
  },
  CODE_FAILED: { status: 500, retry: 'retry', title: 'The function of a code stage threw an error.' },
  CODE_NOT_FOUND: { status: 503, retry: 'never', title: 'No worker has the function of a code stage in this version.' },
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
  QUOTA_EXCEEDED: { status: 507, retry: 'never', title: 'A tenant keeps as much as it may.' },
  OUTPUT_BUDGET_EXCEEDED: { status: 422, retry: 'never', title: 'A stage writes more media than one call may.' },
  STATE_STORE_FULL: { status: 503, retry: 'retry', title: 'The state store has no memory left for more.' },
  INDEX_NOT_FOUND: { status: 404, retry: 'never', title: 'The tenant has no vector index of this name.' },
  INDEX_MISMATCH: { status: 500, retry: 'never', title: 'The vector index was made with another embedder.' },
  INDEX_UNSUPPORTED: { status: 500, retry: 'never', title: 'This Redis has no vector sets.' },
  LIMIT_REACHED: { status: 502, retry: 'never', title: 'A loop did not reach its goal within its limit.' },
  INVALID_TOOL_CALL: {
    status: 502,
    retry: 'never',
    title: 'The model called a tool with invalid arguments, and repeated the mistake after it was corrected.',
  },
  TOOL_FAILED: { status: 502, retry: 'never', title: 'A tool of an MCP server says that it has failed.' },
  TOOLS_REFUSED: {
    status: 502,
    retry: 'never',
    title: 'The tools of an MCP server are too many, too large or have a schema that is not taken.',
  },
  TOOL_SERVER_UNAVAILABLE: { status: 503, retry: 'retry', title: 'An MCP server cannot be started or reached.' },
  TOOL_SERVER_NOT_CONFIGURED: { status: 500, retry: 'never', title: 'This worker does not know the MCP server.' },
  JOURNAL_UNAVAILABLE: { status: 503, retry: 'never', title: 'The journal of a segment cannot be written.' },
  WORKER_LOST: { status: 500, retry: 'never', title: 'Two workers in a row were lost while they ran this call.' },
  RESULT_TOO_LARGE: { status: 500, retry: 'never', title: 'A result is too large to be kept in the run’s history.' },
  // How a run ends.
  STAGE_TIMEOUT: { status: 504, retry: 'retry', title: 'A stage did not finish within its timeout.' },
  DEADLINE_EXCEEDED: { status: 504, retry: 'never', title: 'The run did not finish within the pipeline’s deadline.' },
  RUN_CANCELLED: { status: 409, retry: 'never', title: 'The run was cancelled.' },
  RUN_ENDED: { status: 409, retry: 'never', title: 'The run has ended.' },
  RUN_NOT_ENDED: { status: 409, retry: 'never', title: 'The run has not ended yet.' },
  NO_WEBHOOK: { status: 409, retry: 'never', title: 'The run has no webhook receiver.' },
  WEBHOOK_REFUSED: { status: 422, retry: 'never', title: 'Webhooks are not sent to this address.' },
  WEBHOOK_UNDELIVERED: { status: 502, retry: 'never', title: 'A webhook could not be delivered.' },
  NOT_RESUMABLE: { status: 409, retry: 'never', title: 'The run cannot be resumed.' },
  RECORD_INCOMPLETE: {
    status: 409,
    retry: 'never',
    title: 'The record of the run lacks steps that have ended: they would happen again.',
  },
  RECORD_GONE: { status: 500, retry: 'never', title: 'The record that a run is resumed from is not there any more.' },
  RESUME_DIVERGED: {
    status: 500,
    retry: 'never',
    title: 'A step that had ended in the run before would happen again, in another way.',
  },
  NOT_WAITING: { status: 409, retry: 'never', title: 'The run does not wait for this decision.' },
  ALREADY_DECIDED: { status: 409, retry: 'never', title: 'What the decision is for has been decided.' },
  CHILD_CANCELLED: { status: 409, retry: 'never', title: 'A child run was cancelled by itself.' },
  RUN_FAILED: { status: 500, retry: 'never', title: 'The run failed.' },
  ORCHESTRATOR_UNAVAILABLE: { status: 503, retry: 'retry', title: 'Temporal cannot be reached.' },
  // The embedded stack: what `millrace up` can run into.
  STACK_UNSUPPORTED: { status: 500, retry: 'never', title: 'The embedded stack cannot run on this machine.' },
  STACK_INSTALL_FAILED: { status: 500, retry: 'never', title: 'A part of the embedded stack could not be installed.' },
  STACK_PORT_IN_USE: { status: 500, retry: 'never', title: 'Another process holds a port of the embedded stack.' },
  STACK_START_FAILED: { status: 500, retry: 'never', title: 'A part of the embedded stack does not start.' },
  STACK_SETTINGS_CHANGED: { status: 409, retry: 'never', title: 'The embedded stack runs with other settings.' },
  // While a placement is made: what `millrace place` was given.
  INVALID_INVENTORY: { status: 422, retry: 'never', title: 'The inventory of devices is not valid.' },
  INVALID_PROFILE: { status: 422, retry: 'never', title: 'A stage profile is not valid.' },
  INVALID_TRACE: { status: 422, retry: 'never', title: 'The trace of arrivals is not valid.' },
  INVALID_PLACEMENT: { status: 422, retry: 'never', title: 'The placement is not valid.' },
  PROFILE_STALE: {
    status: 422,
    retry: 'never',
    title: 'A profile is too old, or of another model, server or device than there is now.',
  },
  PROFILE_UNMEASURED: { status: 502, retry: 'never', title: 'A model could not be measured.' },
  PROFILE_MISSING: { status: 422, retry: 'never', title: 'No profile says what a model of the pipeline costs.' },
  MODEL_FITS_NOWHERE: { status: 422, retry: 'never', title: 'No device of the inventory has room for a model.' },
  SLO_UNREACHABLE: { status: 422, retry: 'never', title: 'No placement can be as fast as the objective asks.' },
  PLACEMENT_INFEASIBLE: {
    status: 422,
    retry: 'never',
    title: 'The devices of the inventory cannot hold the load within the objective.',
  },
  GATEWAY_UNAVAILABLE: { status: 503, retry: 'retry', title: 'The gateway cannot be reached.' },
  INTERNAL: { status: 500, retry: 'never', title: 'An error inside Millrace.' },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

export type FieldError = {
  /** Path of the offending field as the caller wrote it: `speech`, `options.language`, or a header's name. */
  readonly field: string;
  readonly message: string;
};

/** What an error carries besides its code; all of it survives Temporal's failure encoding. */
export interface ErrorDetails {
  readonly fields?: readonly FieldError[];
  readonly stage?: string;
  /** The pipeline whose definition is wrong. */
  readonly pipeline?: string;
  readonly endpoint?: string;
  /** The server asked to wait this long before the next call, in milliseconds (`retry-after`). */
  readonly retryAfterMs?: number;
  /** No model has got the call: nobody listened, the server is not ready, or the pool has no endpoint that answers. */
  readonly unsent?: true;
  /** Name of the pool that has no endpoint for the call, where that is not the stage's own model. */
  readonly pool?: string;
  /** Another endpoint of the pool may do better where this one would fail the same way again. */
  readonly elsewhere?: true;
  /** It is how the call has ended in the run that this one resumes: no attempt is made. */
  readonly final?: true;
}

/** The only error class that Millrace throws on purpose. */
export class MillraceError extends Error {
  override readonly name = 'MillraceError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options?: { cause?: unknown },
  ) {
    super(message, options);
  }
}

export const isErrorCode = (code: unknown): code is ErrorCode =>
  typeof code === 'string' && Object.hasOwn(ERRORS, code);

export const errorRow = (code: ErrorCode): ErrorRow => ERRORS[code];

/** Whether a stage failed because its server is away, without a call: that is waited out and uses up no attempt. */
export const isAway = ({ code, details }: { readonly code: string; readonly details: object }): boolean =>
  isErrorCode(code) && errorRow(code).waits === true && (details as ErrorDetails).unsent === true;

/** A message safe to show for whatever was thrown. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
