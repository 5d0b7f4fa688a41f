import { MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import type { Spill } from './spill.js';

/**
 * How long the artifact store is waited for, in milliseconds: the call has ended, and is made again if its attempt ends before it is
 * reported.
 */
const LONGEST_WRITE_MS = 5_000;

/** Most writes that nobody waits for any more. Each holds its value, of up to some megabytes, for as long as the store hangs. */
const MOST_ABANDONED = 16;

/**
 * The same store, whose writes end in time: `put` throws a `TimeoutError` after five seconds, and `STORE_UNAVAILABLE` at once while sixteen
 * writes that took too long have not ended.
 */
export function limitedWrites(spill: Spill): Spill {
  let abandoned = 0;
  return {
    async put(tenant, parts, mime) {
      if (abandoned >= MOST_ABANDONED) {
        const message = `the artifact store hangs: ${abandoned} values wait to be stored for more than ${LONGEST_WRITE_MS} ms`;
        throw new MillraceError('STORE_UNAVAILABLE', message);
      }
      let [hasEnded, isAbandoned] = [false, false];
      const write = async (signal: AbortSignal): Promise<string> => {
        try {
          return await spill.put(tenant, parts, mime, signal);
        } finally {
          hasEnded = true;
          if (isAbandoned) abandoned -= 1;
        }
      };
      try {
        return await limited(LONGEST_WRITE_MS, new AbortController().signal, write);
      } catch (error) {
        isAbandoned = !hasEnded;
        if (isAbandoned) abandoned += 1;
        throw error;
      }
    },
    get: (tenant, uri) => spill.get(tenant, uri),
  };
}
