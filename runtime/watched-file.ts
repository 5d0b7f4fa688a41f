import { statSync } from 'node:fs';
import { messageOf } from '../pipelines/errors.js';
import type { Logger } from '../telemetry/logger.js';

/**
 * Polling interval of the file, in milliseconds; a change takes effect within it. Polling (a few microseconds) instead
 * of file system events, because a mounted secret or configuration is replaced through a symbolic link, for which the
 * kernel sends no event.
 */
const POLL_MS = 1_000;

/**
 * The current content of a file. If it becomes unreadable the last content stays in effect, and the error is logged.
 */
export class WatchedFile<T> {
  readonly #file: string;
  readonly #what: string;
  readonly #read: (file: string) => T;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #current: T;

  /**
   * Throws what `read` throws for the first content.
   * @param what name of the content in the log: `API keys`
   */
  constructor(file: string, what: string, read: (file: string) => T, logger: Logger) {
    this.#file = file;
    this.#what = what;
    this.#read = read;
    this.#logger = logger;
    // Taken before reading, so that a change in between is detected by the next poll.
    this.#seen = stampOf(file);
    this.#current = read(file);
    this.#timer = setInterval(() => this.#check(), POLL_MS);
    this.#timer.unref();
  }

  get current(): T {
    return this.#current;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #check(): void {
    const stamp = stampOf(this.#file);
    if (stamp === this.#seen) return;
    this.#seen = stamp;
    try {
      this.#current = this.#read(this.#file);
    } catch (error) {
      const message = `${this.#what} cannot be read; the last ones read stay in effect`;
      this.#logger.error({ file: this.#file, error: messageOf(error) }, message);
    }
  }
}

/** Changes when the file is replaced or written. */
function stampOf(file: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs}`;
  } catch {
    return 'absent';
  }
}
