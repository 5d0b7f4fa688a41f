import { type ErrorCode, isErrorCode, MillraceError } from '../pipelines/errors.js';
import type { RunDocument } from './document.js';

/** A waited-for run that failed: the answer has its error's status and carries the run. */
export class RunFailedError extends MillraceError {
  constructor(
    code: ErrorCode,
    message: string,
    readonly run: RunDocument,
  ) {
    super(code, message, { fields: run.error?.fields ?? [] });
  }
}

/** The error of a run that has not succeeded, with its own code and status. */
export function failureOf(run: RunDocument): RunFailedError {
  const code = isErrorCode(run.error?.code) ? run.error.code : 'RUN_FAILED';
  return new RunFailedError(code, run.error?.message ?? 'the run failed', run);
}
