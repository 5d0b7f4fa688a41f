import { limited } from '../../runtime/limited.js';
import type { Backend, Pressure } from '../connectors/connector.js';
import type { SharedSlots } from './shared-slots.js';

/** Interval between two readings of a server's load, while it has calls; and the longest wait for one. */
const POLL_MS = 250;
const ANSWER_MS = 1_000;
/** A server that reports nothing is asked again after this time. */
const SILENT_MS = 60_000;
/**
 * Requests that may wait at the server, so that it has work when one ends: at least so many, or this share of those that
 * it works on.
 */
const HEADROOM = { least: 2, share: 0.1 };
/** With less of its cache free, the server would soon put requests back into its queue. */
const FULL_CACHE = 0.95;

interface Member {
  readonly concurrency: number;
  /** Serves the calls that wait in its pool. */
  readonly changed: () => void;
}

/**
 * Calls in flight at one server, of all pools that share its capacity, and how many there should be. Where requests wait
 * in the server's own queue, out of reach of priorities and of other servers, the worker's limit falls to those that the
 * server works on; it rises again while nothing waits.
 */
export class ServerLoad {
  /** The endpoints of pools that are at this server. */
  readonly #members = new Map<object, Member>();
  readonly #closing: AbortSignal;
  /** Calls that wait for a slot of each endpoint, and of all together. */
  readonly #waiting = new WeakMap<object, number>();
  #allWaiting = 0;
  #outstanding = 0;
  #most = 0;
  /** The limit that the server has caused, below the highest concurrency of that time; infinite without any. */
  #caused = Number.POSITIVE_INFINITY;
  #others = 0;
  #waited = false;
  #polling = false;
  #silentUntil = Number.NEGATIVE_INFINITY;
  /** Shares the limit with other workers. Absent: it is the worker's own. */
  slots: SharedSlots | undefined;

  constructor(closing: AbortSignal) {
    this.#closing = closing;
  }

  /**
   * An endpoint of a pool is at this server, or has another concurrency now. The highest concurrency is the server's. Where it
   * rises, calls that wait in other pools are served.
   * @param member the endpoint
   * @param changed serves the calls that wait in its pool. Not called by this: the pool may be in the middle of a change
   */
  join(member: object, concurrency: number, changed: () => void): void {
    const before = this.#most;
    this.#members.set(member, { concurrency, changed });
    this.#recount();
    if (this.#most <= before) return;
    for (const other of this.#members.values()) if (other.changed !== changed) other.changed();
  }

  /** The endpoint is gone: the highest concurrency of the others is the server's. Without others it stays. */
  leave(member: object): void {
    this.#members.delete(member);
    this.#recount();
    this.wanted(member, 0);
  }

  #recount(): void {
    // The queue of a device, which keeps its endpoints, still asks how much room there is.
    if (this.#members.size === 0) return;
    this.#most = Math.max(...Array.from(this.#members.values(), ({ concurrency }) => concurrency));
  }

  /** Most calls in flight of all workers together. */
  get most(): number {
    return this.#most;
  }

  /** Most calls in flight of this worker now. */
  get limit(): number {
    return Math.max(1, Math.min(this.#most, Math.floor(this.#caused)));
  }

  get full(): boolean {
    const { slots } = this;
    return this.#outstanding >= this.limit || (slots !== undefined && this.#outstanding >= slots.limit);
  }

  /** Whether all that is missing for a call is a slot that the store may grant. */
  get awaitsSlot(): boolean {
    return this.full && this.#outstanding < this.limit && this.slots?.mayGrow === true;
  }

  /** Requests that the server has, with those of other clients as last reported. */
  get load(): number {
    return this.#outstanding + this.#others;
  }

  /** This many calls wait for a slot of this endpoint. The server’s slots are asked for what waits in all its pools. */
  wanted(member: object, waiting: number): void {
    this.#allWaiting += waiting - (this.#waiting.get(member) ?? 0);
    this.#waiting.set(member, waiting);
    this.slots?.wanted(this.#allWaiting);
  }

  /** Has a slot granted for a next call, if that is all that is missing. */
  prepare(): void {
    if (this.awaitsSlot) this.slots?.prepare();
  }

  /** A call is sent. Returns a function to be called once, when it has ended. */
  enter(backend: Backend): () => void {
    this.#outstanding += 1;
    this.slots?.taken();
    if (backend.pressure && !this.#polling && this.#silentUntil < performance.now()) void this.#poll(backend);
    return () => {
      this.#outstanding -= 1;
      this.slots?.left();
      this.changed();
    };
  }

  changed(): void {
    for (const { changed } of this.#members.values()) changed();
  }

  observe({ running, waiting, cacheUse = 0 }: Pressure): void {
    const own = this.#outstanding;
    const total = running + waiting;
    this.#others = Math.max(0, total - own);
    // A request waits for a moment between its arrival and the next step: only a queue that lasts counts.
    if (waiting > 0 && this.#waited && own > 0) {
      const share = Math.min(1, own / total);
      const working = running * share;
      const room = Math.ceil(working + Math.max(HEADROOM.least, working * HEADROOM.share));
      if (room < this.limit) this.#caused = room;
    } else if (waiting === 0 && own >= this.limit && cacheUse < FULL_CACHE && this.#caused < this.#most) {
      const more = this.limit + Math.max(1, this.limit * HEADROOM.share);
      this.#caused = more < this.#most ? more : Number.POSITIVE_INFINITY;
    }
    this.#waited = waiting > 0;
    this.changed();
  }

  /** Until nothing is in flight. Never rejects. */
  async #poll(backend: Backend): Promise<void> {
    this.#polling = true;
    while (this.#outstanding > 0 && !this.#closing.aborted) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS).unref());
      try {
        const now = await limited(ANSWER_MS, this.#closing, async (signal) => backend.pressure?.(signal));
        if (now) this.observe(now);
        else {
          this.#silentUntil = performance.now() + SILENT_MS;
          break;
        }
      } catch {
        // What does not answer now is handled by the endpoint's breaker.
      }
    }
    this.#others = 0;
    this.#polling = false;
  }
}
