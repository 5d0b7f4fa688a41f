import { statSync } from 'node:fs';
import type { Logger } from '../../activities/logger.js';
import { type KeyRing, keyRing } from '../../gateway/index.js';
import { messageOf } from '../../pipelines/errors.js';
import { readKeys } from './key-file.js';

/**
 * How often the file is looked at: a revoked key is refused within it. The file is asked (a few microseconds) instead of
 * waiting to be told, because a mounted secret is replaced by way of a link, of which the kernel tells nothing.
 */
const LOOK_MS = 1_000;

/** The keys of a file as it is now. A file that has become unreadable changes nothing but the log. */
export class WatchedKeys implements KeyRing {
  readonly #file: string;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #ring: KeyRing;

  /** Throws `INVALID_SETTING`. */
  constructor(file: string, logger: Logger) {
    this.#file = file;
    this.#logger = logger;
    // Before it is read: what changes in between is seen the next time.
    this.#seen = stampOf(file);
    this.#ring = this.#read();
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  find(secret: string) {
    return this.#ring.find(secret);
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const stamp = stampOf(this.#file);
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      this.#ring = this.#read();
    } catch (error) {
      this.#logger.error({ error: messageOf(error) }, 'API keys cannot be read; those read before stay');
    }
  }

  #read(): KeyRing {
    const keys = readKeys(this.#file);
    this.#logger.info({ file: this.#file, keys: keys.length }, 'API keys read');
    return keyRing(keys);
  }
}

/** Differs when the file is another or has been written. */
function stampOf(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'absent';
  }
}
