import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { isFull, isGone } from './refusals.js';

/**
 * The result of commands to the state store. Throws `STATE_STORE_FULL` if it is out of memory, and `STORE_UNAVAILABLE` for every other failure.
 * @param whose what is kept there, as errors name it: `sessions`
 * @param waits whether a stage that needs it waits while the store is away
 */
export async function reachedFor<T>(whose: string, work: () => Promise<T>, waits = false): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [code, what] = isFull(error)
      ? (['STATE_STORE_FULL', 'is full'] as const)
      : (['STORE_UNAVAILABLE', 'failed'] as const);
    const details = waits && code === 'STORE_UNAVAILABLE' && isGone(error) ? { unreached: true as const } : {};
    throw new MillraceError(code, `the Redis of the ${whose} ${what}: ${messageOf(error)}`, details, { cause: error });
  }
}
