import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import type { Backend, ServerWork } from '../connectors/connector.js';
import { Breaker } from './breaker.js';
import { Congestion } from './congestion.js';
import type { EndpointConfig } from './models.js';
import { Outcomes } from './outcomes.js';

/** How long traffic stays away from an endpoint that is full: it may have room as soon as one call ends. */
const SHED_MS = 250;
/** Longest time to believe a server's `retry-after`: the pool's other endpoints may be full meanwhile. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** Longest time that calls wait for a repair; then they try, and fail into their own retries. */
const LONGEST_HEAL_WAIT_MS = 15_000;

/** First and longest time that an endpoint stays out of its pool; doubled each time that it comes back and fails again. */
const OUT_MS = { first: 5_000, longest: 300_000 };
/** Share of that time that is random, so that workers do not try it together. */
const OUT_JITTER = 0.2;
/** One that came back and has not failed for this many times as long as it was out begins anew. */
const FORGIVEN = 10;
/** Time in which one that came back gets its full share of calls, and what it begins with. */
const WARM_UP = { ms: 10_000, from: 0.1 };
/** A failed call weighs as much as one in flight for this time: failing fast must not look like being idle. */
const FAILURE_WEIGHS_MS = 10_000;

/**
 * Whether calls should go to an endpoint: `avoided` only where there is no other, `healing` and `away` not even then. One that
 * is away cannot be reached: no call is spent on finding out when it can.
 */
export type Availability = 'up' | 'avoided' | 'healing' | 'away';

/** Codes of failures that may be the endpoint's, and not what it was asked. */
export const ITS_OWN: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_UNAVAILABLE',
  'BACKEND_TIMEOUT',
  'FIRST_CHUNK_TIMEOUT',
  'IDLE_TIMEOUT',
  'STAGE_TIMEOUT',
  'BACKEND_BROKEN',
  'BACKEND_ERROR',
  'BACKEND_UNAUTHORIZED',
  'MODEL_NOT_FOUND',
  'INVALID_OUTPUT',
]);

/** Those that open no breaker. */
const FAST: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_BROKEN',
  'BACKEND_ERROR',
  'BACKEND_UNAUTHORIZED',
  'INVALID_OUTPUT',
]);

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
  readonly #breaker = new Breaker();
  readonly #congestion: Congestion;
  /** Most calls in flight at once since the server was last asked for its work. */
  #peak = 0;
  #shedUntil = 0;
  #healingSince: number | undefined;
  /** How its calls have ended. */
  readonly outcomes = new Outcomes();
  #away: MillraceError | undefined;
  #out = { until: Number.NEGATIVE_INFINITY, ms: 0 };
  /** It fails and cannot be repaired: only a canary, or a call that there is no other endpoint for, shows that it works again. */
  #broken = false;

  constructor({ url, device, concurrency }: EndpointConfig, backend: Backend) {
    this.backend = backend;
    this.url = url;
    this.device = device;
    this.concurrency = concurrency;
    this.#congestion = new Congestion(concurrency);
  }

  get full(): boolean {
    return this.outstanding >= this.concurrency;
  }

  /**
   * Calls that should be here at once now: none while it fails, fewer while calls wait in the server's own queue. While it is away
   * one: stages that come are told, and go elsewhere or wait.
   */
  get room(): number {
    const { availability } = this;
    return availability === 'up' ? this.#congestion.limit : availability === 'away' ? 1 : 0;
  }

  /** What its last call failed with, while it cannot be reached. */
  get away(): MillraceError | undefined {
    return this.#away;
  }

  /** It answers, or nobody has asked for long. */
  reachable(): void {
    this.#away = undefined;
  }

  /** Calls in flight, as it were: failures weigh like them, and one that has just come back gets few. */
  get load(): number {
    const calls = this.outstanding + this.outcomes.fastFailures(FAILURE_WEIGHS_MS);
    const back = performance.now() - this.#out.until;
    const warmth = Math.min(1, Math.max(WARM_UP.from, back / WARM_UP.ms));
    return (calls + 1) / warmth - 1;
  }

  /** Calls go to the others. */
  get isOut(): boolean {
    return this.#broken || this.#out.until > performance.now();
  }

  /** It was out not long ago. */
  get wasOut(): boolean {
    return this.#out.ms > 0 && performance.now() - this.#out.until < FORGIVEN * this.#out.ms;
  }

  /** Takes it out, for twice as long as the last time. Gives the time, in milliseconds. */
  eject(): number {
    const ms = this.wasOut ? Math.min(this.#out.ms * 2, OUT_MS.longest) : OUT_MS.first;
    const random = 1 + OUT_JITTER * (2 * Math.random() - 1);
    this.#out = { until: performance.now() + ms * random, ms };
    this.outcomes.clear();
    return ms * random;
  }

  /** It cannot be repaired. */
  set broken(yes: boolean) {
    this.#broken = yes;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Takes what the server has done since it was last asked. */
  worked(work: ServerWork): void {
    this.#congestion.observe(work, this.#peak);
    this.#peak = this.outstanding;
  }

  get healing(): boolean {
    return this.#healingSince !== undefined;
  }

  set healing(yes: boolean) {
    this.#healingSince = yes ? performance.now() : undefined;
  }

  get availability(): Availability {
    const now = performance.now();
    if (this.#healWaitEnds > now) return 'healing';
    if (this.#away !== undefined) return 'away';
    if (this.isOut) return 'avoided';
    if (this.#shedUntil > now || this.#breaker.state === 'open' || this.#breaker.probing) return 'avoided';
    return 'up';
  }

  /** When its availability changes by itself; undefined when only a call's end can change it. */
  get changesAt(): number | undefined {
    const now = performance.now();
    const times = [this.#healWaitEnds, this.#shedUntil, this.#breaker.openUntil, this.#out.until].filter(
      (time) => time > now,
    );
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  get #healWaitEnds(): number {
    return this.#healingSince === undefined ? 0 : this.#healingSince + LONGEST_HEAL_WAIT_MS;
  }

  /** A call is sent here. Gives what must be called, once, when it has ended. */
  enter(): () => void {
    this.outstanding += 1;
    this.#peak = Math.max(this.#peak, this.outstanding);
    this.usedAt = performance.now();
    const probe = this.#breaker.startProbe();
    return () => {
      this.outstanding -= 1;
      if (probe) this.#breaker.endProbe();
    };
  }

  succeeded(): void {
    this.outcomes.succeeded();
    this.#works();
  }

  verified(): void {
    this.verifiedAt = performance.now();
    this.#works();
  }

  #works(): void {
    this.succeededAt = performance.now();
    this.#shedUntil = 0;
    this.#away = undefined;
    this.#broken = false;
    this.#breaker.succeeded();
  }

  /** Keeps traffic away for a while if the error says that others would do better. */
  failed(error: unknown): void {
    if (!(error instanceof MillraceError)) return;
    if (ITS_OWN.has(error.code)) this.outcomes.failed(FAST.has(error.code));
    switch (error.code) {
      case 'BACKEND_UNAVAILABLE':
        this.#away = error;
        this.#breaker.failed();
        break;
      case 'BACKEND_TIMEOUT':
      case 'FIRST_CHUNK_TIMEOUT':
      case 'IDLE_TIMEOUT':
      case 'STAGE_TIMEOUT':
      case 'MODEL_NOT_FOUND':
        this.#breaker.failed();
        break;
      case 'BACKEND_OVERLOADED': {
        // It works: no breaker, only less traffic.
        const ms = Math.min(error.details.retryAfterMs ?? SHED_MS, LONGEST_RETRY_AFTER_MS);
        this.#shedUntil = Math.max(this.#shedUntil, performance.now() + ms);
      }
    }
  }
}
