import type { Redis } from 'ioredis';
import { eraseChannel } from '../channels/index.js';
import { eraseJournal } from '../journal/index.js';
import { ERASED_MS, erasableKey, erasedKey, NOW, reachedFor, script } from '../redis/index.js';

/** Journals and channels that are erased at once. */
const AT_ONCE = 100;
/** Most times that the set is looked at: a million keys. */
const MOST_LOOKS = 10_000;

/** Says when the run was erased, by the store's clock. */
const mark = script<[erased: string], [keptMs: number], void>(`
${NOW}
redis.call('set', KEYS[1], string.format('%.0f', now), 'px', ARGV[1])`);

/** Erases the journals and channels of runs that have ended; their records and events are erased where they are kept. */
export class RunErasure {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /**
   * Erases those of one run, or of one child run by its own id. For six hours nothing is written to them by a worker that knows nothing of the
   * run's end, no attempt takes such a journal, and none that began before opens one, nor a channel; a channel that is opened anew is empty.
   * Throws `STORE_UNAVAILABLE`: then some may be left, and erasing them again goes on.
   */
  async erase(run: string): Promise<void> {
    await reachedFor('journals and channels', async () => {
      try {
        // First: what a late worker opens before this is in the set.
        await mark(this.#redis, [erasedKey(run)], ERASED_MS);
      } finally {
        // A store without room takes nothing, and gets room by this.
        await this.#eraseNoted(run);
      }
    });
  }

  /** Erases what is in the set, until nothing is left: a worker of an earlier release may open something meanwhile. */
  async #eraseNoted(run: string): Promise<void> {
    const index = erasableKey(run);
    for (let look = 0; look < MOST_LOOKS; look++) {
      const keys = await this.#redis.zrange(index, 0, `${AT_ONCE - 1}`);
      if (keys.length === 0) return;
      await Promise.all(keys.map((key) => this.#eraseOne(run, key)));
    }
    throw new Error('more of the run are left');
  }

  async #eraseOne(run: string, key: string): Promise<void> {
    if (!(await eraseChannel(this.#redis, run, key))) await eraseJournal(this.#redis, key);
  }
}
