import { MillraceError } from '../pipelines/errors.js';
import { limited } from '../runtime/limited.js';

/** What is up to this size, in bytes, is read at once. */
export const SMALL_BYTES = 256 * 1024;
/** What is read for one tenant, in bytes for each millisecond: to parse that of conversations takes a seventh of the time. */
const BYTES_PER_MS = 16_000;
/** Longest wait for a turn, in milliseconds. */
const MOST_WAIT_MS = 10_000;
/** Most that a tenant owes, in milliseconds. More than the longest wait: who owes it is refused, and again has turns soon. */
const MOST_OWED_MS = 2 * MOST_WAIT_MS;
/** What a tenant may owe before it waits with what may be small, in milliseconds: a large one now and then delays no small ones. */
const FREE_MS = 1_000;
/** What one of unknown size counts while it is read, in milliseconds, so that a tenant that owes nothing begins eight at once. */
const ESTIMATE_MS = 130;
/** Tenants that are remembered; those whose turn has come are forgotten then. */
const MOST_TENANTS = 1_000;

/** Of a tenant, by the process's monotonic clock. */
interface Account {
  /** When it may read again what is known to be large. */
  next: number;
  /** Until then it owes for what it has read without a turn. */
  owes: number;
  /** The same with the estimates of what is being read. */
  busy: number;
  /** Those who wait with what may be small, in their order. */
  readonly waiting: Set<() => void>;
  timer: NodeJS.Timeout | undefined;
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
  async turn(tenant: string, bytes: number, signal = new AbortController().signal): Promise<void> {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const account = this.#of(tenant, now);
    const waitMs = Math.max(0, account.next - now);
    if (waitMs > MOST_WAIT_MS) throw this.#refused(tenant, waitMs);
    const ms = bytes / this.#bytesPerMs;
    account.next = now + waitMs + ms;
    if (waitMs === 0) return;
    await pause(waitMs, signal).catch((error: unknown) => {
      account.next -= ms;
      throw error;
    });
  }

  /**
   * Waits for the turn of one whose size is known only when it has been read: while the tenant owes much, or reads several such ones. What it counts
   * meanwhile passes by itself, or with `end`. Throws `RATE_LIMITED` if the tenant owes too much, never one that has read nothing large, and `REQUEST_ABORTED` if
   * `signal` aborts first.
   */
  async begin(tenant: string, signal = new AbortController().signal): Promise<void> {
    const now = performance.now();
    const account = this.#of(tenant, now);
    const waitMs = account.owes - FREE_MS - now;
    if (waitMs > MOST_WAIT_MS) throw this.#refused(tenant, waitMs);
    const isLate = await limited(MOST_WAIT_MS, signal, (over) => this.#place(account, over)).catch(() => true);
    if (signal.aborted) throw clientLeft();
    if (!isLate) return;
    const owedMs = account.owes - performance.now();
    if (owedMs > 0) throw this.#refused(tenant, owedMs);
    estimate(account);
  }

  /** Takes back the estimate of one that has begun. */
  end(tenant: string): void {
    const account = this.#accounts.get(tenant);
    if (account === undefined) return;
    account.busy = Math.max(account.owes, account.busy - ESTIMATE_MS);
    this.#goOn(account);
  }

  /** Counts one that has been read without a turn. Later ones wait for it. */
  charge(tenant: string, bytes: number): void {
    if (bytes <= SMALL_BYTES) return;
    const now = performance.now();
    const account = this.#of(tenant, now);
    const later = (at: number) => Math.min(now + MOST_OWED_MS, Math.max(now, at) + bytes / this.#bytesPerMs);
    account.next = later(account.next);
    account.owes = later(account.owes);
    account.busy = later(account.busy);
  }

  /** Throws `RATE_LIMITED` if the tenant owes about as much as it can: what it reads then would count for nothing. */
  expectCounted(tenant: string): void {
    const owedMs = (this.#accounts.get(tenant)?.owes ?? 0) - performance.now();
    if (owedMs > MOST_OWED_MS - FREE_MS) throw this.#refused(tenant, FREE_MS);
  }

  /** Resolves, with false, when one may begin that comes after those who wait. */
  #place(account: Account, over: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const go = () => resolve(false);
      account.waiting.add(go);
      over.addEventListener('abort', () => account.waiting.delete(go), { once: true });
      this.#goOn(account);
    });
  }

  #goOn(account: Account): void {
    const now = performance.now();
    for (const go of account.waiting) {
      if (account.busy - FREE_MS >= now) break;
      account.waiting.delete(go);
      estimate(account);
      go();
    }
    clearTimeout(account.timer);
    if (account.waiting.size === 0) return;
    account.timer = setTimeout(() => this.#goOn(account), Math.max(1, account.busy - FREE_MS - now));
  }

  #refused(tenant: string, waitMs: number): MillraceError {
    const message = `too many large ${this.#what} of tenant "${tenant}" are read at once`;
    return new MillraceError('RATE_LIMITED', message, { retryAfterMs: Math.ceil(waitMs) });
  }

  #of(tenant: string, now: number): Account {
    const known = this.#accounts.get(tenant);
    if (known) return known;
    this.#forget(now);
    const made: Account = { next: now, owes: now, busy: now, waiting: new Set(), timer: undefined };
    this.#accounts.set(tenant, made);
    return made;
  }

  #forget(now: number): void {
    if (this.#accounts.size < MOST_TENANTS) return;
    for (const [tenant, { next, busy, waiting }] of this.#accounts)
      if (Math.max(next, busy) <= now && waiting.size === 0) this.#accounts.delete(tenant);
  }
}

function estimate(account: Account): void {
  account.busy = Math.max(performance.now(), account.busy) + ESTIMATE_MS;
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

const clientLeft = () => new MillraceError('REQUEST_ABORTED', 'the client disconnected before its turn to read');
