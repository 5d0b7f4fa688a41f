import type { Problem, RunDocument } from '../pipelines/run/document.js';

/** The code of a `ClientError` that no gateway has answered: it cannot be reached, or what answered is none. */
const UNREACHABLE = 'GATEWAY_UNAVAILABLE';

/** An answer of the gateway that is no success, a run that has failed, or no answer at all. */
export class ClientError extends Error {
  override readonly name = 'ClientError';
  /** A code of the error table; decide on this. */
  readonly code: string;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
  /** The offending fields or headers. */
  readonly fields: readonly { readonly field: string; readonly message: string }[];
  /** The run, when the error is that of a run. */
  readonly run?: RunDocument;
  /** Finds the request in the gateway's log. */
  readonly requestId?: string;
  /** The gateway asks to wait this long before another try, in milliseconds. */
  readonly retryAfterMs?: number;

  constructor(
    status: number,
    problem: Partial<Omit<Problem, 'code'>> & { readonly code?: string },
    options: { cause?: unknown; retryAfterMs?: number } = {},
  ) {
    super(problem.detail ?? `the gateway answered ${status}`, options);
    this.code = problem.code ?? UNREACHABLE;
    this.status = status;
    this.fields = problem.errors ?? [];
    if (problem.run) this.run = problem.run;
    if (problem.requestId !== undefined) this.requestId = problem.requestId;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}

/** The error of an answer. */
export async function errorOf(response: Response): Promise<ClientError> {
  const problem = (await response.json().catch(() => ({}))) as Partial<Problem>;
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN);
  return new ClientError(response.status, problem, Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {});
}

export function unreachable(base: string, cause: unknown): ClientError {
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const why = inner instanceof Error ? inner.message : String(inner);
  return new ClientError(0, { code: UNREACHABLE, detail: `no gateway answers at ${base} (${why})` }, { cause });
}

/** The error of a run that has ended without success. */
export function failureOf(run: RunDocument): ClientError {
  const { code = 'RUN_FAILED', message = `the run ${run.status}` } = run.error ?? {};
  return new ClientError(0, { code, detail: message, run, errors: run.error?.fields ?? [] });
}
