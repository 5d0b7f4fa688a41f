import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isFull } from './refusals.js';

/**
 * The result of commands to the state store. Throws `STATE_STORE_FULL` if it is out of memory, and `STORE_UNAVAILABLE` for every other failure.
 * @param whose what is kept there, as errors name it: `sessions`
 */
export async function reachedFor<T>(whose: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [code, what] = isFull(error)
      ? (['STATE_STORE_FULL', 'is full'] as const)
      : (['STORE_UNAVAILABLE', 'failed'] as const);
    throw new MillraceError(code, `the Redis of the ${whose} ${what}: ${messageOf(error)}`, {}, { cause: error });
  }
}
