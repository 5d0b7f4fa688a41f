import type { CacheKeys } from './cache-key.js';
import type { Claimed, Entries, Entry } from './entries.js';
import { Lease } from './lease.js';
import { pause } from './pause.js';

/**
 * Delay between two polls for another worker's answer, in milliseconds, growing: short compared to a model call, rare
 * enough for 1000 waiters.
 */
const LOOK_FIRST_MS = 15;
const LOOK_MAX_MS = 100;

/** Longest wait for another worker's answer where the end of the attempt is not known, in milliseconds. */
const WAIT_MS = 30_000;
/**
 * Share of the attempt's time that may pass waiting while another worker is calling. The rest is for a call of its own: the other
 * one may hang. A call that takes longer than this share is repeated by all that wait for it, mostly in vain.
 */
const WAIT_SHARE = 0.75;

/** How long to wait for another worker's answer, in milliseconds, by the end of the attempt on the clock of `performance.now()`. */
export const patienceOf = (endsAt: number | undefined, otherwiseMs = WAIT_MS): number =>
  endsAt === undefined ? otherwiseMs : Math.max(0, (endsAt - performance.now()) * WAIT_SHARE);

/** Whether an entry may still be served: stored answers outlive changes of schemas, and the media that they refer to. */
export type Usable = (entry: Entry) => boolean | Promise<boolean>;

/** Of concurrent lookups of the same key, on any worker, one makes the call; the others wait for its answer. */
export class SingleFlight {
  readonly #entries: Entries;
  readonly #leaseMs: number;

  /** @param leaseMs how long others wait for a worker that died */
  constructor(entries: Entries, leaseMs: number) {
    this.#entries = entries;
    this.#leaseMs = leaseMs;
  }

  lease(at: CacheKeys): Lease {
    return new Lease(this.#entries, at, this.#leaseMs);
  }

  /** As the lease's `claim`; an entry that is not usable is removed first. */
  async claim(lease: Lease, at: CacheKeys, usable: Usable): Promise<Claimed> {
    const claim = await lease.claim();
    if (typeof claim === 'string' || (await usable(claim))) return claim;
    await this.#entries.drop(at);
    const second = await lease.claim();
    // A worker of another release writes answers that this one cannot use: then each makes the call.
    return typeof second === 'string' || (await usable(second)) ? second : 'taken';
  }

  /** Until there is an answer, the lease is free because its owner failed or died, its answer is not kept, or `waitMs` are over. */
  async wait(
    lease: Lease,
    at: CacheKeys,
    usable: Usable,
    waitMs: number,
    signal: AbortSignal,
  ): Promise<Exclude<Claimed, 'taken'> | 'impatient'> {
    const until = performance.now() + waitMs;
    for (let wait = LOOK_FIRST_MS; performance.now() < until; wait = Math.min(wait * 1.5, LOOK_MAX_MS)) {
      await pause(wait, signal);
      const claim = await this.claim(lease, at, usable);
      if (claim !== 'taken') return claim;
    }
    return 'impatient';
  }
}
