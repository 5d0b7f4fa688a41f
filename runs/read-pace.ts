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
/** Tenants that are remembered; those whose turn has come are forgotten then. */
const MOST_TENANTS = 1_000;

/** Of a tenant, by the process's monotonic clock. */
interface Account {
  /** When it may read again what is known to be large. */
  next: number;
  /** Until then it owes for what it has read without a turn. */
  owes: number;
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

  /** Waits for the turn of one of this size. Throws `RATE_LIMITED` if too many wait already, and `REQUEST_ABORTED` if `signal` aborts first. */
  async turn(tenant: string, bytes: number, signal: AbortSignal = new AbortController().signal): Promise<void> {
    if (bytes <= SMALL_BYTES) return;
    const waitMs = (this.#accounts.get(tenant)?.next ?? 0) - performance.now();
    if (waitMs > MOST_WAIT_MS && !signal.aborted) throw this.#refused(tenant, waitMs);
    await this.part(tenant, bytes, signal);
  }

  /** Waits for the turn of a part of any size, however long that takes. Throws `REQUEST_ABORTED` if `signal` aborts first. */
  async part(tenant: string, bytes: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw clientLeft();
    const now = performance.now();
    const account = this.#of(tenant, now);
    const waitMs = Math.max(0, account.next - now);
    const ms = bytes / this.#bytesPerMs;
    account.next = now + waitMs + ms;
    if (waitMs === 0) return;
    await pause(waitMs, signal).catch((error: unknown) => {
      account.next -= ms;
      throw error;
    });
  }

  /**
   * Waits while the tenant owes much, with one whose size is known only when it has been read. Throws `RATE_LIMITED` if that takes too long, never
   * for a tenant that has read nothing large, and `REQUEST_ABORTED` if `signal` aborts first.
   */
  async settled(tenant: string, signal: AbortSignal = new AbortController().signal): Promise<void> {
    const until = performance.now() + MOST_WAIT_MS;
    for (;;) {
      if (signal.aborted) throw clientLeft();
      const now = performance.now();
      const at = (this.#accounts.get(tenant)?.owes ?? 0) - FREE_MS;
      if (at <= now) return;
      if (at > until) throw this.#refused(tenant, at - now);
      await pause(at - now, signal);
    }
  }

  /** Throws `RATE_LIMITED` if the tenant owes so much that it waits. */
  expectSettled(tenant: string): void {
    const owedMs = (this.#accounts.get(tenant)?.owes ?? 0) - FREE_MS - performance.now();
    if (owedMs > 0) throw this.#refused(tenant, owedMs);
  }

  /** Counts one that has been read without a turn. Later ones wait for it. */
  charge(tenant: string, bytes: number): void {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const account = this.#of(tenant, now);
    const later = (at: number) => Math.min(now + MOST_OWED_MS, Math.max(now, at) + bytes / this.#bytesPerMs);
    account.next = later(account.next);
    account.owes = later(account.owes);
  }

  /** Throws `RATE_LIMITED` if the tenant owes about as much as it can: what it reads then would count for nothing. */
  expectCounted(tenant: string): void {
    const owedMs = (this.#accounts.get(tenant)?.owes ?? 0) - performance.now();
    if (owedMs > MOST_OWED_MS - FREE_MS) throw this.#refused(tenant, FREE_MS);
  }

  #refused(tenant: string, waitMs: number): MillraceError {
    const message = `too many large ${this.#what} of tenant "${tenant}" are read at once`;
    return new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.ceil(waitMs) });
  }

  #of(tenant: string, now: number): Account {
    const known = this.#accounts.get(tenant);
    if (known) return known;
    this.#forget(now);
    const made: Account = { next: now, owes: now };
    this.#accounts.set(tenant, made);
    return made;
  }

  #forget(now: number): void {
    if (this.#accounts.size < MOST_TENANTS) return;
    for (const [tenant, { next }] of this.#accounts) if (next <= now) this.#accounts.delete(tenant);
  }
}

/** Throws `REQUEST_ABORTED` if the signal aborts first. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const leave = () => {
      clearTimeout(timer);
      reject(clientLeft());
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', leave);
      resolve();
    }, ms);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}

export const clientLeft = () => new MillraceError('REQUEST_ABORTED', 'the client disconnected before its turn to read');
