import type { Problem, RunDocument } from '../pipelines/run/document.js';

/** The code of a `ClientError` without a response of a gateway: it is unreachable, or the server is not a gateway. */
const UNREACHABLE = 'GATEWAY_UNAVAILABLE';

/** An error response of the gateway, a run that has failed, or a missing response. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  /** A code of the error table: check this, not the message. */
  readonly code: string;
  /** The HTTP status; 0 without a response. */
  readonly status: number;
  /** The invalid fields or headers. */
  readonly fields: readonly { readonly field: string; readonly message: string }[];
  /** The run, if the error is that of a run. */
  readonly run?: RunDocument;
  /** Identifies the request in the gateway's log. */
  readonly requestId?: string;
  /** Time to wait before a retry, as stated by the gateway, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(
    status: number,
    problem: Partial<Omit<Problem, 'code'>> & { readonly code?: string },
    options: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(problem.detail ?? `the gateway responded with status ${status}`, options);
    this.code = problem.code ?? UNREACHABLE;
    this.status = status;
    this.fields = problem.errors ?? [];
    if (problem.run) this.run = problem.run;
    if (problem.requestId !== undefined) this.requestId = problem.requestId;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}

/** The error of a response. */
export async function errorOf(response: Response): Promise<ClientError> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ClientError(response.status, problem, Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {});
}

export function unreachable(base: string, cause: unknown): ClientError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const why = inner instanceof Error ? inner.message : String(inner);
  return new ClientError(0, { code: UNREACHABLE, detail: `no gateway responds at ${base} (${why})` }, { cause });
}

/** The error of a run that has ended without success. */
export function failureOf(run: RunDocument): ClientError {
  const { code = 'RUN_FAILED', message = `the run ${run.status}` } = run.error ?? {};
  return new ClientError(0, { code, detail: message, run, errors: run.error?.fields ?? [] });
}
