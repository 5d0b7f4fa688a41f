import type { Redis } from 'ioredis';
import { eraseChannel } from '../channels/index.js';
import { eraseJournal } from '../journal/index.js';
import { erasableKey, reachedFor } from '../redis/index.js';

/** Journals and channels that are erased at once. */
const AT_ONCE = 100;
/** Most times that the set is looked at: a million keys. */
const MOST_LOOKS = 10_000;

/** Erases the journals and channels of runs that have ended; their records and events are erased where they are kept. */
export class RunErasure {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Erases those of one run, or of one child run by its own id. For six hours nothing is written to them by a worker that knows nothing of the
   * run's end, and no attempt takes such a journal; a channel that is opened anew is empty. What such a worker opens for the first time
   * afterwards is not erased: it expires as usual. Throws `STORE_UNAVAILABLE`: then some may be left, and erasing them again goes on.
   */
  async erase(run: string): Promise<void> {
    const index = erasableKey(run);
    await reachedFor('journals and channels', async () => {
      // Until none is left: a late worker may open one meanwhile.
      for (let look = 0; look < MOST_LOOKS; look++) {
        const keys = await this.#redis.zrange(index, 0, `${AT_ONCE - 1}`);
        if (keys.length === 0) return;
        await Promise.all(keys.map((key) => this.#eraseOne(run, key)));
      }
      throw new Error('more of the run are left');
    });
  }

  async #eraseOne(run: string, key: string): Promise<void> {
    if (!(await eraseChannel(this.#redis, run, key))) await eraseJournal(this.#redis, key);
  }
}
