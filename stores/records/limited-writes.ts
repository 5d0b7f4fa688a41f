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

/** A store whose writes end in time, and of which only so many go on for nobody. */
export class LimitedWrites {
  readonly #spill: Spill;
  #abandoned = 0;

  constructor(spill: Spill) {
    this.#spill = spill;
  }

  /**
   * The same store. Its `put` throws a `TimeoutError` when the time is over, and `STORE_UNAVAILABLE` at once while sixteen writes that took
   * too long have not ended.
   * @param ms how long a write may take, in milliseconds; five seconds at most
   */
  within(ms = LONGEST_WRITE_MS): Spill {
    return {
      put: (...value) => this.#put(Math.min(ms, LONGEST_WRITE_MS), value),
      get: (tenant, uri) => this.#spill.get(tenant, uri),
    };
  }

  async #put(ms: number, [tenant, parts, mime]: Parameters<Spill['put']>): Promise<string> {
    if (this.#abandoned >= MOST_ABANDONED) {
      const message = `the artifact store hangs: ${this.#abandoned} values that were to be stored in time are not stored yet`;
      throw new MillraceError('STORE_UNAVAILABLE', message);
    }
    let [hasEnded, isAbandoned] = [false, false];
    const write = async (signal: AbortSignal): Promise<string> => {
      try {
        return await this.#spill.put(tenant, parts, mime, signal);
      } finally {
        hasEnded = true;
        if (isAbandoned) this.#abandoned -= 1;
      }
    };
    try {
      return await limited(ms, new AbortController().signal, write);
    } catch (error) {
      isAbandoned = !hasEnded;
      if (isAbandoned) this.#abandoned += 1;
      throw error;
    }
  }
}
