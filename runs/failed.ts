import { type ErrorCode, isErrorCode, MillraceError } from '../pipelines/errors.js';
import type { RunDocument } from './document.js';

/** A waited run that failed: the response has the status of the run's error and includes the run. */
export class RunFailedError extends MillraceError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly run: RunDocument,
  ) {
    const { fields = [], retryAfterMs } = run.error ?? {};
    super(code, message, { fields, ...(retryAfterMs !== undefined && { retryAfterMs }) });
  }
}

/** The error of a failed or cancelled run, with its own code and status. */
export function failureOf(run: RunDocument): RunFailedError {
  const code = isErrorCode(run.error?.code) ? run.error.code : 'RUN_FAILED';
  return new RunFailedError(code, run.error?.message ?? 'the run failed', run);
}
