import { statSync } from 'node:fs';
import { messageOf } from '../pipelines/errors.js';
import type { Logger } from '../telemetry/logger.js';

/**
 * How often the file is looked at: a change counts within it. The file is asked (a few microseconds) instead of waiting to
 * be told, because a mounted secret or configuration is replaced by way of a link, of which the kernel tells nothing.
 */
const LOOK_MS = 1_000;

/** What a file says now. One that has become unreadable changes nothing but the log. */
export class WatchedFile<T> {
  readonly #file: string;
  readonly #what: string;
  readonly #read: (file: string) => T;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #current: T;

  /**
   * Throws what `read` throws at first.
   * @param what for the log: `API keys`
   */
  constructor(file: string, what: string, read: (file: string) => T, logger: Logger) {
    this.#file = file;
    this.#what = what;
    this.#read = read;
    this.#logger = logger;
    // Before it is read: what changes in between is seen the next time.
    this.#seen = stampOf(file);
    this.#current = read(file);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
    this.#timer.unref();
  }

  get current(): T {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(): void {
    const stamp = stampOf(this.#file);
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      this.#current = this.#read(this.#file);
    } catch (error) {
      const message = `${this.#what} cannot be read; those read before stay`;
      this.#logger.error({ file: this.#file, error: messageOf(error) }, message);
    }
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
