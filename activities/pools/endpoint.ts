import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import type { Backend } from '../connectors/connector.js';
import type { EndpointConfig } from './models.js';

/** First and longest time that traffic stays away from an endpoint that cannot be reached; doubled at every failure. */
const COOL_MS = { first: 1_000, longest: 8_000 };
/** The same for one that is full: it may have room as soon as one call ends. */
const OVERLOAD_COOL_MS = 250;
/** Longest time to believe a server's `retry-after`: the pool's other endpoints may be full meanwhile. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** Longest time that calls wait for a repair; then they try, and fail into their own retries. */
const LONGEST_HEAL_WAIT_MS = 15_000;

/** One endpoint of a pool: its client and what is known of its state. Times are those of `performance.now()`. */
export class Endpoint {
  readonly backend: Backend;
  readonly url: string;
  readonly device: string;
  readonly concurrency: number;
  /** Calls in flight. */
  outstanding = 0;
  /** When a call was last sent here. */
  usedAt = Number.NEGATIVE_INFINITY;
  /** When a call last succeeded. */
  succeededAt = Number.NEGATIVE_INFINITY;
  /** When a canary last found the model working, or working again. */
  verifiedAt = Number.NEGATIVE_INFINITY;
  #coolUntil = 0;
  #coolMs = 0;
  #healingSince: number | undefined;

  constructor({ url, device, concurrency }: EndpointConfig, backend: Backend) {
    this.backend = backend;
    this.url = url;
    this.device = device;
    this.concurrency = concurrency;
  }

  get full(): boolean {
    return this.outstanding >= this.concurrency;
  }

  get healing(): boolean {
    return this.#healingSince !== undefined;
  }

  set healing(yes: boolean) {
    this.#healingSince = yes ? performance.now() : undefined;
  }

  /** When this endpoint should be used again, if it should not now: `cooling` only if there are others. */
  blockedUntil(): { readonly reason: 'cooling' | 'healing'; readonly time: number } | undefined {
    const now = performance.now();
    const healed = this.#healingSince === undefined ? 0 : this.#healingSince + LONGEST_HEAL_WAIT_MS;
    if (healed > now) return { reason: 'healing', time: healed };
    return this.#coolUntil > now ? { reason: 'cooling', time: this.#coolUntil } : undefined;
  }

  succeeded(): void {
    this.succeededAt = performance.now();
    this.#coolUntil = 0;
    this.#coolMs = 0;
  }

  verified(): void {
    this.verifiedAt = performance.now();
    this.succeeded();
  }

  /** Keeps traffic away for a while if the error says that others would do better. */
  failed(error: unknown): void {
    if (!(error instanceof MillraceError)) return;
    const ms = this.#coolingFor(error.code, error.details.retryAfterMs);
    if (ms > 0) this.#coolUntil = Math.max(this.#coolUntil, performance.now() + ms);
  }

  #coolingFor(code: ErrorCode, retryAfterMs = OVERLOAD_COOL_MS): number {
    switch (code) {
      case 'BACKEND_UNAVAILABLE':
      case 'BACKEND_TIMEOUT':
      case 'STAGE_TIMEOUT':
      case 'MODEL_NOT_FOUND':
        // Calls that fail together are one failure.
        if (this.#coolUntil <= performance.now()) {
          this.#coolMs = Math.min(Math.max(COOL_MS.first, this.#coolMs * 2), COOL_MS.longest);
        }
        return this.#coolMs;
      case 'BACKEND_OVERLOADED':
        return Math.min(retryAfterMs, LONGEST_RETRY_AFTER_MS);
      default:
        return 0;
    }
  }
}
