import { type ErrorCode, MillraceError } from '../../pipelines/errors.js';
import type { Backend, ServerWork } from '../connectors/connector.js';
import { Breaker } from './breaker.js';
import { Congestion } from './congestion.js';
import type { EndpointConfig } from './models.js';
import { Outcomes } from './outcomes.js';
import { KnownPrefixes } from './prefixes.js';
import type { ServerLoad } from './server-load.js';

/** How long a full endpoint gets no traffic; short, because it may have room as soon as one call ends. */
const SHED_MS = 250;
/** Upper limit for a server's `retry-after`, in case the pool's other endpoints are full meanwhile. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** Longest time that calls wait for a repair; then they are sent, and fail into their own retries. */
const LONGEST_HEAL_WAIT_MS = 15_000;

/**
 * First and longest time that an endpoint stays ejected from its pool; doubled each time that it returns and fails
 * again.
 */
const OUT_MS = { first: 5_000, longest: 300_000 };
/** Share of that time that is randomised, so that workers do not retry it simultaneously. */
const OUT_JITTER = 0.2;
/** The ejection time is reset after this many times its length without a failure. */
const FORGIVEN = 10;
/** Warm-up: time until a returned endpoint gets its full share of calls, and the initial share. */
const WARM_UP = { ms: 10_000, from: 0.1 };
/** A failed call weighs as much as one in flight for this time: an endpoint that fails fast must not look idle. */
const FAILURE_WEIGHS_MS = 10_000;

/**
 * Whether calls should be sent to an endpoint: `avoided` only if there is no other, `healing` and `away` never. An
 * endpoint that is away cannot be reached: no call is spent on testing it.
 */
export type Availability = 'up' | 'avoided' | 'healing' | 'away';

/** Codes of failures that may be caused by the endpoint rather than by the request. */
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

/** Codes that open no breaker. */
const FAST: ReadonlySet<ErrorCode> = new Set([
  'BACKEND_BROKEN',
  'BACKEND_ERROR',
  'BACKEND_UNAUTHORIZED',
  'INVALID_OUTPUT',
]);

/** One endpoint of a pool: its client and its state. Times are those of `performance.now()`. */
export class Endpoint {
  readonly backend: Backend;
  readonly url: string;
  readonly device: string;
  #config: EndpointConfig;
  #retired: (() => void) | undefined;
  #starting: { since: number } | undefined;
  /** Calls in flight. */
  outstanding = 0;
  /** When a call was last sent here. */
  usedAt = Number.NEGATIVE_INFINITY;
  /** When a call last succeeded. */
  succeededAt = Number.NEGATIVE_INFINITY;
  /** When a canary last found the model working. */
  verifiedAt = Number.NEGATIVE_INFINITY;
  /** The model is loaded on demand, and is not loaded here. */
  cold = false;
  readonly #breaker = new Breaker();
  readonly #congestion: Congestion;
  /** Most calls in flight since the server's statistics were last read. */
  #peak = 0;
  #shedUntil = 0;
  #healingSince: number | undefined;
  readonly outcomes = new Outcomes();
  /** What its server should have in its cache, by the calls of this worker. */
  readonly prefixes = new KnownPrefixes();
  readonly #counted = new WeakSet<MillraceError>();
  #away: MillraceError | undefined;
  #out = { until: Number.NEGATIVE_INFINITY, ms: 0 };
  /**
   * The model fails and cannot be repaired: only a canary, or a call without another endpoint to go to, can show that
   * it works again.
   */
  #broken = false;

  /** @param server what its calls have in common with those of other pools at the same server */
  constructor(
    config: EndpointConfig,
    backend: Backend,
    readonly server?: ServerLoad,
  ) {
    const { url, device, concurrency } = config;
    this.backend = backend;
    this.url = url;
    this.device = device;
    this.#config = config;
    this.#congestion = new Congestion(concurrency);
  }

  get concurrency(): number {
    return this.#config.concurrency;
  }

  get zone(): string | undefined {
    return this.#config.zone;
  }

  /** Takes a changed configuration of the same address. */
  configure(config: EndpointConfig): void {
    this.#config = config;
    this.#congestion.allow(config.concurrency);
  }

  /** Leaves its pool; `idle` is called once its last call has ended. */
  retire(idle: () => void): void {
    if (this.outstanding === 0) idle();
    else this.#retired = idle;
  }

  /**
   * It gets no traffic until it has shown that it is ready: at first, and after it was away. From `awaitStart` on calls
   * wait for it as for an endpoint under repair.
   */
  set starting(yes: boolean) {
    this.#starting = yes ? { since: Number.NEGATIVE_INFINITY } : undefined;
  }

  get starting(): boolean {
    return this.#starting !== undefined;
  }

  /** Its check has begun. */
  awaitStart(): void {
    if (this.#starting) this.#starting.since = performance.now();
  }

  /** The server answers that it is not ready: no failure, and no reason for a breaker. */
  notReady(error: MillraceError): void {
    this.#away = error;
    this.prefixes.clear();
  }

  get full(): boolean {
    return this.outstanding >= this.concurrency || this.server?.full === true;
  }

  /** Whether all that is missing for a call is a slot of the server that workers share. */
  get awaitsSlot(): boolean {
    return this.outstanding < this.concurrency && this.server?.awaitsSlot === true;
  }

  /**
   * Calls that should be in flight now: none while it fails, fewer while calls wait in the server's own queue. One
   * while it is away, so that arriving stages get the error and take their fallback or wait.
   */
  get room(): number {
    const { availability } = this;
    return availability === 'up'
      ? Math.min(this.#congestion.limit, this.server?.limit ?? this.concurrency)
      : availability === 'away'
        ? 1
        : 0;
  }

  /** Error of the last call, while the server cannot be reached. */
  get away(): MillraceError | undefined {
    return this.#away;
  }

  /** The server answers, or its state is too old to count. */
  reachable(): void {
    this.#away = undefined;
  }

  /**
   * Effective load: calls in flight, plus recent failures, scaled up during warm-up so that a returned endpoint gets
   * few calls.
   */
  get load(): number {
    const calls = (this.server?.load ?? this.outstanding) + this.outcomes.fastFailures(FAILURE_WEIGHS_MS);
    const back = performance.now() - this.#out.until;
    const warmth = Math.min(1, Math.max(WARM_UP.from, back / WARM_UP.ms));
    return (calls + 1) / (warmth * (this.#config.weight ?? 1)) - 1;
  }

  /** Ejected: calls go to the other endpoints. */
  get isOut(): boolean {
    return this.#broken || this.#out.until > performance.now();
  }

  /** Ejected or drained: calls go elsewhere if they can. */
  get unwanted(): boolean {
    return this.isOut || this.#config.draining === true;
  }

  /** Was ejected recently. */
  get wasOut(): boolean {
    return this.#out.ms > 0 && performance.now() - this.#out.until < FORGIVEN * this.#out.ms;
  }

  /** Ejects the endpoint, for twice as long as the last time. Returns the time, in milliseconds. */
  eject(): number {
    const ms = this.wasOut ? Math.min(this.#out.ms * 2, OUT_MS.longest) : OUT_MS.first;
    const random = 1 + OUT_JITTER * (2 * Math.random() - 1);
    this.#out = { until: performance.now() + ms * random, ms };
    this.outcomes.clear();
    return ms * random;
  }

  /** The model cannot be repaired. */
  set broken(yes: boolean) {
    this.#broken = yes;
  }

  get broken(): boolean {
    return this.#broken;
  }

  /** Takes the server's statistics since the last reading; its batches wait up to `delayMs` to fill. */
  worked(work: ServerWork, delayMs: number): void {
    this.#congestion.observe(work, this.#peak, delayMs);
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
    if (this.#startWaitEnds > now) return 'healing';
    if (this.unwanted || this.cold) return 'avoided';
    if (this.#shedUntil > now || this.#breaker.state === 'open' || this.#breaker.probing) return 'avoided';
    return 'up';
  }

  /** When calls are sent to it again, if it is avoided only because its server has said that it is full. */
  get shedUntil(): number | undefined {
    const isAvoided = this.availability === 'avoided' && !this.unwanted && !this.cold;
    return isAvoided && this.#breaker.state === 'closed' ? this.#shedUntil : undefined;
  }

  /** When its availability changes by itself; undefined if only the end of a call can change it. */
  get changesAt(): number | undefined {
    const now = performance.now();
    const times = [
      this.#healWaitEnds,
      this.#startWaitEnds,
      this.#shedUntil,
      this.#breaker.openUntil,
      this.#out.until,
    ].filter((time) => time > now);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  get #startWaitEnds(): number {
    return (this.#starting?.since ?? Number.NEGATIVE_INFINITY) + LONGEST_HEAL_WAIT_MS;
  }

  get #healWaitEnds(): number {
    return this.#healingSince === undefined ? 0 : this.#healingSince + LONGEST_HEAL_WAIT_MS;
  }

  /** A call is sent. Returns a function to be called once, when the call has ended. */
  enter(): () => void {
    this.outstanding += 1;
    this.#peak = Math.max(this.#peak, this.outstanding);
    this.usedAt = performance.now();
    const probe = this.#breaker.startProbe();
    const leave = this.server?.enter(this.backend);
    return () => {
      this.outstanding -= 1;
      leave?.();
      if (probe) this.#breaker.endProbe();
      if (this.outstanding > 0 || !this.#retired) return;
      this.#retired();
      this.#retired = undefined;
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

  /**
   * Keeps traffic away for a while if the error suggests that other endpoints would do better. An error that several calls
   * report, those of a lost batch, is one failure.
   */
  failed(error: unknown): void {
    if (!(error instanceof MillraceError) || this.#counted.has(error)) return;
    this.#counted.add(error);
    if (ITS_OWN.has(error.code)) this.outcomes.failed(FAST.has(error.code));
    switch (error.code) {
      case 'BACKEND_UNAVAILABLE':
        this.#away = error;
        // It may be restarted meanwhile, with an empty cache.
        this.prefixes.clear();
        this.#breaker.failed();
        break;
      case 'BACKEND_TIMEOUT':
      case 'FIRST_CHUNK_TIMEOUT':
      case 'IDLE_TIMEOUT':
      case 'STAGE_TIMEOUT':
      case 'MODEL_NOT_FOUND':
        this.#breaker.failed();
        break;
      case 'BACKEND_OVERLOADED':
      case 'BACKEND_RATE_LIMITED': {
        // The server works: no breaker, only less traffic.
        const ms = Math.min(error.details.retryAfterMs ?? SHED_MS, LONGEST_RETRY_AFTER_MS);
        this.#shedUntil = Math.max(this.#shedUntil, performance.now() + ms);
      }
    }
  }
}
