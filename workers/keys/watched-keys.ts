import { unwatchFile, watchFile } from 'node:fs';
import type { Logger } from '../../activities/logger.js';
import { type KeyRing, keyRing } from '../../gateway/index.js';
import { messageOf } from '../../pipelines/errors.js';
import { readKeys } from './key-file.js';

/**
 * How often the file is looked at: a revoked key is refused within it. It is asked for (`stat`) instead of being told,
 * because a mounted secret is replaced by way of a link, of which the kernel tells nothing.
 */
const LOOK_MS = 1_000;

/** The keys of a file as it is now. A file that has become unreadable changes nothing but the log. */
export class WatchedKeys implements KeyRing {
  readonly #file: string;
  #ring: KeyRing;

  /** Throws `INVALID_SETTING`. */
  constructor(file: string, logger: Logger) {
    this.#file = file;
    const load = () => {
      const keys = readKeys(file);
      logger.info({ file, keys: keys.length }, 'API keys read');
      return keyRing(keys);
    };
    this.#ring = load();
    watchFile(file, { interval: LOOK_MS, persistent: false }, () => {
      try {
        this.#ring = load();
      } catch (error) {
        logger.error({ file, error: messageOf(error) }, 'API keys cannot be read; those read before stay');
      }
    });
  }

  find(secret: string) {
    return this.#ring.find(secret);
  }

  close(): void {
    unwatchFile(this.#file);
  }
}
