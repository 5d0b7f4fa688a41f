import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../pipelines/errors.js';

/** Conversations up to this size, in bytes, are read at once. */
const SMALL_BYTES = 256 * 1024;
/** What is read of the conversations of one tenant, in bytes for each millisecond: to parse that takes a seventh of the time. */
const BYTES_PER_MS = 16_000;
/** Longest wait for a turn, in milliseconds. */
const MOST_WAIT_MS = 10_000;
/** Tenants that are remembered; those whose turn has come are forgotten then. */
const MOST_TENANTS = 1_000;

/**
 * Paces the reading of large conversations of each tenant. To parse one of 32 MiB stops this process for some tenths of a second, and a
 * request for it is small: a tenant could otherwise take all of the process.
 */
export class ReadPace {
  /** When a tenant may read again, by the process's monotonic clock. */
  readonly #next = new Map<string, number>();

  /** Waits for the turn of a conversation of this size. Throws `RATE_LIMITED` if too many wait already. */
  async turn(tenant: string, bytes: number): Promise<void> {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const at = Math.max(now, this.#next.get(tenant) ?? now);
    const waitMs = at - now;
    if (waitMs > MOST_WAIT_MS)
      throw new MillraceError('RATE_LIMITED', `too many large conversations of tenant "${tenant}" are read at once`, {
        retryAfterMs: Math.ceil(waitMs),
      });
    this.#forget(now);
    this.#next.set(tenant, at + bytes / BYTES_PER_MS);
    if (waitMs > 0) await sleep(waitMs);
  }

  #forget(now: number): void {
    if (this.#next.size < MOST_TENANTS) return;
    for (const [tenant, at] of this.#next) if (at <= now) this.#next.delete(tenant);
  }
}
