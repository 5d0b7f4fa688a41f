import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isGone } from '../redis/index.js';

/** The result of commands on records. Throws `STORE_UNAVAILABLE`, for which a stage waits while the store is away. */
export async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const message = `the record of the run is unavailable: ${messageOf(error)}`;
    throw new MillraceError('STORE_UNAVAILABLE', message, isGone(error) ? { unreached: true } : {}, { cause: error });
  }
}
