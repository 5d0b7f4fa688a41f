import { MillraceError } from '../pipelines/errors.js';

/**
 * A request that was refused before it had a run, while an earlier equal one has one. A retry that only counts its tries cannot be told
 * from one of the earlier request, and would get the run of that one: clients are told not to retry by themselves.
 */
export class LaterRefusedError extends MillraceError {}

/**
 * Throws a refusal as `LaterRefusedError`, with its own code and details, and every other error as it is.
 * @param isLater whether an equal request has a run
 */
export async function asRefused(error: unknown, isLater: () => Promise<boolean>): Promise<never> {
  if (!(error instanceof MillraceError) || !(await isLater())) throw error;
  throw new LaterRefusedError(error.code, error.message, error.details, { cause: error });
}
