import { MillraceError } from '../pipelines/errors.js';

/**
 * A request that was refused before it had a run, and that an equal one came before. A retry that only counts its tries cannot be told from
 * one of the earlier request, and would get the run of that one: clients are told not to retry by themselves.
 */
export class LaterRefusedError extends MillraceError {}

/** Throws a refusal as `LaterRefusedError`, with its own code and details, and every other error as it is. */
export function asLaterRefused(error: unknown): never {
  if (!(error instanceof MillraceError)) throw error;
  throw new LaterRefusedError(error.code, error.message, error.details, { cause: error });
}
