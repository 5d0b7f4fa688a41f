import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../pipelines/errors.js';

/** What is up to this size, in bytes, is read at once. */
export const SMALL_BYTES = 256 * 1024;
/** What is read for one tenant, in bytes for each millisecond: to parse that of conversations takes a seventh of the time. */
const BYTES_PER_MS = 16_000;
/** Longest wait for a turn, in milliseconds. */
export const MOST_WAIT_MS = 10_000;
/** Most that a tenant owes, in milliseconds. More than the longest wait: who owes it is refused, and again has turns soon. */
const MOST_OWED_MS = 2 * MOST_WAIT_MS;
/** What a tenant may owe before it waits with what may be small, in milliseconds: a large one now and then delays no small ones. */
const FREE_MS = 1_000;
/** Time between two that have waited and may be small, in milliseconds: a large one is read, and makes the others wait again. */
const APART_MS = 25;
/** Tenants that are remembered; those whose turn has come are forgotten then. */
const MOST_TENANTS = 1_000;

/** Of a tenant, by the process's monotonic clock. */
interface Account {
  /** When it may read again. */
  next: number;
  /** The same by what it has read without a turn only: until then it owes. */
  owes: number;
  /** When the last one goes on that waits and may be small. */
  last: number;
}

/**
 * Paces the reading of large conversations, or of large runs, of each tenant. To parse a conversation of 32 MiB stops this process for some
 * tenths of a second, and a request for it is small: a tenant could otherwise take all of the process.
 */
export class ReadPace {
  readonly #accounts = new Map<string, Account>();
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
    const account = this.#of(tenant, now);
    const waitMs = Math.max(0, account.next - now);
    if (waitMs > MOST_WAIT_MS) throw this.#refused(tenant, waitMs);
    account.next = now + waitMs + bytes / this.#bytesPerMs;
    if (waitMs > 0) await sleep(waitMs);
  }

  /**
   * Waits while the tenant owes much: the turn of one whose size is known only when it has been read. Throws `RATE_LIMITED` if the wait would be
   * too long.
   */
  async turnOfUnknown(tenant: string): Promise<void> {
    const until = performance.now() + MOST_WAIT_MS;
    for (;;) {
      const now = performance.now();
      const account = this.#accounts.get(tenant);
      if (account === undefined || account.owes - FREE_MS <= now) return;
      const at = Math.max(account.owes - FREE_MS, account.last) + APART_MS;
      if (at > until) throw this.#refused(tenant, at - now);
      account.last = at;
      await sleep(at - now);
    }
  }

  /** Counts one that has been read without a turn: its size was not known. Later ones wait for it. */
  charge(tenant: string, bytes: number): void {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const account = this.#of(tenant, now);
    const ms = bytes / this.#bytesPerMs;
    account.next = Math.min(now + MOST_OWED_MS, Math.max(now, account.next) + ms);
    account.owes = Math.min(now + MOST_OWED_MS, Math.max(now, account.owes) + ms);
  }

  #refused(tenant: string, waitMs: number): MillraceError {
    const message = `too many large ${this.#what} of tenant "${tenant}" are read at once`;
    return new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.ceil(waitMs) });
  }

  #of(tenant: string, now: number): Account {
    const known = this.#accounts.get(tenant);
    if (known) return known;
    this.#forget(now);
    const made = { next: now, owes: now, last: now };
    this.#accounts.set(tenant, made);
    return made;
  }

  #forget(now: number): void {
    if (this.#accounts.size < MOST_TENANTS) return;
    for (const [tenant, { next }] of this.#accounts) if (next <= now) this.#accounts.delete(tenant);
  }
}
