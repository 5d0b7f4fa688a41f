import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';

/** What is up to this size, in bytes, is read at once. */
export const SMALL_BYTES = 256 * 1024;
/** What is read for one tenant, in bytes for each millisecond: to parse that of conversations takes a seventh of the time. */
const BYTES_PER_MS = 16_000;
/** Longest wait for a turn, in milliseconds. */
const MOST_WAIT_MS = 10_000;
/** Tenants that are remembered; those whose turn has come are forgotten then. */
const MOST_TENANTS = 1_000;

/**
 * Paces the reading of large conversations, or of large runs, of each tenant. To parse a conversation of 32 MiB stops this process for some
 * tenths of a second, and a request for it is small: a tenant could otherwise take all of the process.
 */
export class ReadPace {
  /** When a tenant may read again, by the process's monotonic clock. */
  readonly #next = new Map<string, number>();
  readonly #what: string;
  readonly #bytesPerMs: number;

  /** @param what what is read, for the error */
  constructor(what = 'conversations', bytesPerMs = BYTES_PER_MS) {
    this.#what = what;
    this.#bytesPerMs = bytesPerMs;
  }

  /** Waits for the turn of one of this size. Throws `RATE_LIMITED` if too many wait already. */
  async turn(tenant: string, bytes: number): Promise<void> {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const at = Math.max(now, this.#next.get(tenant) ?? now);
    const waitMs = at - now;
    if (waitMs > MOST_WAIT_MS)
      throw new MillraceError('RATE_LIMITED', `too many large ${this.#what} of tenant "${tenant}" are read at once`, {
        retryAfterMs: Math.ceil(waitMs),
      });
    this.charge(tenant, bytes);
    if (waitMs > 0) await sleep(waitMs);
  }

  /** Counts one that has been read without a turn: its size was not known. Later ones wait for it. */
  charge(tenant: string, bytes: number): void {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    this.#forget(now);
    this.#next.set(tenant, Math.max(now, this.#next.get(tenant) ?? now) + bytes / this.#bytesPerMs);
  }

  #forget(now: number): void {
    if (this.#next.size < MOST_TENANTS) return;
    for (const [tenant, at] of this.#next) if (at <= now) this.#next.delete(tenant);
  }
}
