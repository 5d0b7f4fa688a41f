import { Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { errorRow, MillraceError, messageOf } from '../../pipelines/errors.js';
import type { JsonObject } from '../../pipelines/json.js';
import type { ForeignCall, ForeignOutcome, ForeignStart } from '../../pipelines/run/index.js';
import { wellFormedError } from '../../pipelines/well-formed.js';
import type { ForeignCalls } from './foreign-calls.js';

/** The local activities before and after a call of another worker: they run in the process of the workflow. */
export function createForeignActivity(calls: ForeignCalls) {
  return async (input: JsonObject, { foreign }: ForeignCall): Promise<ForeignStart | ForeignOutcome | null> => {
    const { info, cancellationSignal } = Context.current();
    const run = info.workflowExecution?.workflowId ?? '';
    const { call, ended } = foreign;
    try {
      return await (ended
        ? calls.after(run, input, call, ended, cancellationSignal)
        : calls.before(run, input, call, cancellationSignal, info.scheduledTimestampMs));
    } catch (error) {
      // The call has been made: nothing but the check of its result would be repeated.
      throw asFailure(error, ended === undefined);
    }
  };
}

/** An error with its code as the failure's type. `repeats`: Temporal may repeat the local activity. */
export function asFailure(error: unknown, repeats: boolean): ApplicationFailure {
  const known =
    error instanceof MillraceError ? error : new MillraceError('INTERNAL', messageOf(error), {}, { cause: error });
  const { code, message, details, cause } = known;
  return ApplicationFailure.create({
    type: code,
    message,
    details: [details],
    nonRetryable: !repeats || errorRow(code).retry === 'never' || details.final === true,
    ...(cause instanceof Error && { cause: wellFormedError(cause) }),
  });
}
