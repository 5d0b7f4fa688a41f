import { MillraceError } from '../../pipelines/errors.js';
import type { Backend, ServerWork } from '../connectors/connector.js';
import { Breaker } from './breaker.js';
import { Congestion } from './congestion.js';
import type { EndpointConfig } from './models.js';

/** How long traffic stays away from an endpoint that is full: it may have room as soon as one call ends. */
const SHED_MS = 250;
/** Longest time to believe a server's `retry-after`: the pool's other endpoints may be full meanwhile. */
const LONGEST_RETRY_AFTER_MS = 30_000;
/** Longest time that calls wait for a repair; then they try, and fail into their own retries. */
const LONGEST_HEAL_WAIT_MS = 15_000;

/** Whether calls should go to an endpoint: `avoided` only where there is no other, `healing` not even then. */
export type Availability = 'up' | 'avoided' | 'healing';

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

  /** Calls that should be here at once now: none while it fails, fewer while calls wait in the server's own queue. */
  get room(): number {
    return this.availability === 'up' ? this.#congestion.limit : 0;
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
    if (this.#shedUntil > now || this.#breaker.state === 'open' || this.#breaker.probing) return 'avoided';
    return 'up';
  }

  /** When its availability changes by itself; undefined when only a call's end can change it. */
  get changesAt(): number | undefined {
    const now = performance.now();
    const times = [this.#healWaitEnds, this.#shedUntil, this.#breaker.openUntil].filter((time) => time > now);
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
    this.succeededAt = performance.now();
    this.#shedUntil = 0;
    this.#breaker.succeeded();
  }

  verified(): void {
    this.verifiedAt = performance.now();
    this.succeeded();
  }

  /** Keeps traffic away for a while if the error says that others would do better. */
  failed(error: unknown): void {
    if (!(error instanceof MillraceError)) return;
    switch (error.code) {
      case 'BACKEND_UNAVAILABLE':
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
