import { statSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';
import { messageOf } from '../pipelines/errors.js';
import type { Logger } from '../telemetry/logger.js';

/**
 * Polling interval of the file, in milliseconds; a change takes effect within it. Polling (a few microseconds) instead
 * of file system events, because a mounted secret or configuration is replaced through a symbolic link, for which the
 * kernel sends no event.
 */
const POLL_MS = 1_000;
/** Longest pause between two readings of a file that could not be read and has not changed, in polls. */
const MOST_POLLS = 60;

/** All that are open in this process. */
const open = new Set<WatchedFile<unknown>>();

/** Shows in metrics which watched files of this process cannot be read any more. */
export function watchedFilesGauge(registry: Registry): void {
  new Gauge({
    name: 'millrace_file_stale',
    help: 'Whether a watched file cannot be read (1), so that the content read before stays in effect',
    labelNames: ['what'] as const,
    registers: [registry],
    collect() {
      this.reset();
      for (const { what } of open) this.set({ what }, 0);
      for (const { what, stale } of open) if (stale) this.set({ what }, 1);
    },
  });
}

/**
 * The current content of a file. If it becomes unreadable the last content stays in effect, the error is logged, and it is stale; it is
 * read again until that succeeds, since what prevents it may pass without a change of the file (EMFILE, EIO): after a second, and
 * then after pauses that double up to a minute, since a large file that is not valid costs as much each time.
 */
export class WatchedFile<T> {
  readonly what: string;
  readonly #file: string;
  readonly #read: (file: string) => T;
  readonly #logger: Logger;
  readonly #timer: NodeJS.Timeout;
  #seen: string;
  #current: T;
  /** Why the content is not that of the file. */
  #failure: string | undefined;
  /** The pause after the last failure, in polls. */
  #pause = 1;
  /** Polls until an unchanged file is read again. */
  #left = 0;

  /**
   * Throws what `read` throws for the first content.
   * @param what name of the content in the log and in metrics: `API keys`
   */
  constructor(file: string, what: string, read: (file: string) => T, logger: Logger) {
    this.#file = file;
    this.what = what;
    this.#read = read;
    this.#logger = logger;
    // Taken before reading, so that a change in between is detected by the next poll.
    this.#seen = stampOf(file);
    this.#current = read(file);
    this.#timer = setInterval(() => this.#check(), POLL_MS);
    this.#timer.unref();
    open.add(this);
  }

  get current(): T {
    return this.#current;
  }

  /** Whether the content is not that of the file: it could not be read. */
  get stale(): boolean {
    return this.#failure !== undefined;
  }

  close(): void {
    clearInterval(this.#timer);
    open.delete(this);
  }

  #check(): void {
    const stamp = stampOf(this.#file);
    const isSame = stamp === this.#seen;
    if (isSame && !this.#isDue()) return;
    this.#seen = stamp;
    try {
      this.#current = this.#read(this.#file);
      this.#failure = undefined;
    } catch (error) {
      const failure = messageOf(error);
      const isKnown = isSame && failure === this.#failure;
      this.#failure = failure;
      this.#pause = isSame ? Math.min(2 * this.#pause, MOST_POLLS) : 1;
      this.#left = this.#pause;
      if (isKnown) return;
      const message = `${this.what} cannot be read; the last ones read stay in effect`;
      this.#logger.error({ file: this.#file, error: failure }, message);
    }
  }

  /** Whether this poll reads an unchanged file again. */
  #isDue(): boolean {
    if (!this.stale) return false;
    this.#left -= 1;
    return this.#left <= 0;
  }
}

/** Changes when the file is replaced or written, or gets another owner or mode: it may be readable now. */
function stampOf(file: string): string {
  try {
    const { ino, size, mtimeMs, ctimeMs } = statSync(file);
    return `${ino} ${size} ${mtimeMs} ${ctimeMs}`;
  } catch {
    return 'absent';
  }
}
