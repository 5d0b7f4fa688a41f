import { setTimeout as sleep } from 'node:timers/promises';
import { limited } from '../../runtime/limited.js';
import type { ServerWork } from '../connectors/connector.js';
import type { Endpoint } from './endpoint.js';

/**
 * Interval between two readings of servers' statistics: long enough for some batches, short compared with a queue that
 * builds up.
 */
const POLL_MS = 500;
/** Longest wait for a server's statistics, which normally take a millisecond. */
const ANSWER_MS = 2_000;

interface Placed {
  readonly endpoint: Endpoint;
  /** The model's name at the server. */
  readonly model: string;
}

/**
 * A device and the endpoints on it: how many calls they should have in flight, according to the servers' statistics.
 */
export class Device {
  readonly #placed: ReadonlyMap<string, readonly Placed[]>;
  readonly #before = new Map<Placed, ServerWork>();
  /** How long batches wait to fill, by the servers' configurations. */
  readonly #delaysMs = new Map<Placed, number>();

  /** @param placed the endpoints on the device by their pools' names */
  constructor(placed: ReadonlyMap<string, readonly Placed[]>) {
    this.#placed = placed;
  }

  /** Names of the pools that have an endpoint on this device. */
  get pools(): readonly string[] {
    return [...this.#placed.keys()];
  }

  /** Calls that the device should have in flight now: of one pool, or of all. */
  room(pool?: string): number {
    const placed = pool === undefined ? this.#all : (this.#placed.get(pool) ?? []);
    return placed.reduce((sum, { endpoint }) => sum + endpoint.room, 0);
  }

  get #all(): readonly Placed[] {
    return [...this.#placed.values()].flat();
  }

  /** Polls the servers until `signal` aborts. Never rejects. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await Promise.all(this.#all.map((placed) => this.#check(placed, signal)));
      await sleep(POLL_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  async #check(placed: Placed, signal: AbortSignal): Promise<void> {
    const { endpoint, model } = placed;
    try {
      const { backend } = endpoint;
      if (backend.work === undefined) return;
      const now = await limited(ANSWER_MS, signal, async (own) => backend.work?.(model, own));
      if (!now) return;
      const before = this.#before.get(placed);
      this.#before.set(placed, now);
      if (before === undefined) return;
      // The counter has decreased: the server was restarted, perhaps with another configuration.
      if (now.requests < before.requests) this.#delaysMs.delete(placed);
      else endpoint.worked(between(before, now), await this.#delayOf(placed, signal));
    } catch {
      // A server that does not answer is handled by its breaker.
      this.#before.delete(placed);
      this.#delaysMs.delete(placed);
    }
  }

  async #delayOf(placed: Placed, signal: AbortSignal): Promise<number> {
    const known = this.#delaysMs.get(placed);
    if (known !== undefined) return known;
    const { endpoint, model } = placed;
    const { backend } = endpoint;
    try {
      const batching = await limited(ANSWER_MS, signal, async (own) => backend.batching?.(model, own));
      const delayMs = batching?.delayMs ?? 0;
      this.#delaysMs.set(placed, delayMs);
      return delayMs;
    } catch {
      // It answers for its statistics only. It is asked again.
      return 0;
    }
  }
}

const between = (before: ServerWork, now: ServerWork): ServerWork => ({
  requests: now.requests - before.requests,
  queueMs: now.queueMs - before.queueMs,
  computeMs: now.computeMs - before.computeMs,
});
