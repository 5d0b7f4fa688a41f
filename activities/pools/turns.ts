import { MillraceError } from '../../pipelines/errors.js';
import type { Priority } from '../../pipelines/plan/index.js';
import { byAffinity } from './affinity.js';
import type { Endpoint } from './endpoint.js';

/**
 * Calls wait in the order of priority, then of arrival, and they age: a call goes before every one of the class above that
 * comes this much later, so that a steady stream of interactive calls delays a batch call by 20 s and never for ever.
 * 10 s is longer than an interactive caller waits and short next to the minutes that a batch has.
 */
const HEAD_START_MS = 10_000;
const RANK: Readonly<Record<Priority, number>> = { interactive: 0, default: 1, batch: 2 };

export interface TurnRequest {
  readonly signal: AbortSignal;
  /** Default `default`. */
  readonly priority?: Priority | undefined;
  /** Calls with the same key go to the same endpoint where that costs little. */
  readonly affinity?: string | undefined;
  /** The devices to go to, where the pool has an endpoint on one of them. Absent: any. */
  readonly devices?: readonly string[] | undefined;
  /** Longest wait in milliseconds; a place that is free is given whatever this says. */
  readonly queueMs?: number | undefined;
}

/** A place at an endpoint, to be given back with `Turns.release`. */
export interface Turn {
  readonly endpoint: Endpoint;
  readonly leave: () => void;
}

interface Waiter {
  /** Its place in the order: arrival in ms and the head start of the classes above it. */
  readonly due: number;
  readonly affinity: string | undefined;
  /** The endpoints that it may go to. Absent: any. */
  readonly only: readonly Endpoint[] | undefined;
  grant(turn: Turn): void;
}

/**
 * Hands out places at endpoints: at the one that `affinity` prefers, else at the one with the fewest calls in flight. An
 * endpoint whose breaker is open, or is being tried out, is passed over while another is up; one under repair is waited for.
 */
export class Turns {
  readonly #endpoints: readonly Endpoint[];
  /** In the order of `due`. */
  readonly #waiting: Waiter[] = [];
  #wakeUp: NodeJS.Timeout | undefined;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  /** Rejects with the signal's reason when it aborts, with `QUEUE_TIMEOUT` after `queueMs`. */
  acquire({ signal, priority = 'default', affinity, devices, queueMs }: TurnRequest): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      let impatience: NodeJS.Timeout | undefined;
      let granted = false;
      const end = () => {
        clearTimeout(impatience);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        due: performance.now() + RANK[priority] * HEAD_START_MS,
        affinity,
        only: this.#on(devices),
        grant(turn) {
          granted = true;
          end();
          resolve(turn);
        },
      };
      const leave = (reason: unknown) => {
        end();
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(reason);
      };
      const onAbort = () => leave(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#enqueue(waiter);
      this.next();
      if (granted || queueMs === undefined) return;
      impatience = setTimeout(() => leave(tooLong(queueMs)), queueMs);
    });
  }

  /** A place that is free now, not at `avoided` if another has one; undefined when there is none or calls wait for it. */
  spare(avoided: Endpoint): Turn | undefined {
    if (this.#waiting.length > 0) return undefined;
    const free = this.#free();
    const others = free.filter((endpoint) => endpoint !== avoided);
    const endpoint = leastUsed(others.length > 0 ? others : free);
    return endpoint && { endpoint, leave: endpoint.enter() };
  }

  release({ leave }: Turn): void {
    leave();
    this.next();
  }

  /** Serves who waits, as far as there is room. Called whenever an endpoint's state has changed. */
  next(): void {
    clearTimeout(this.#wakeUp);
    for (const waiter of [...this.#waiting]) {
      const endpoint = this.#choose(waiter);
      // Without a place for one that may go anywhere there is none for those behind it.
      if (!endpoint && waiter.only === undefined) break;
      if (!endpoint) continue;
      this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
      waiter.grant({ endpoint, leave: endpoint.enter() });
    }
    if (this.#waiting.length === 0) return;
    const times = this.#endpoints.flatMap(({ changesAt }) => changesAt ?? []);
    if (times.length > 0) {
      this.#wakeUp = setTimeout(() => this.next(), Math.max(1, Math.min(...times) - performance.now()));
    }
  }

  #enqueue(waiter: Waiter): void {
    const behind = this.#waiting.findLastIndex(({ due }) => due <= waiter.due);
    this.#waiting.splice(behind + 1, 0, waiter);
  }

  #choose({ affinity, only }: Waiter): Endpoint | undefined {
    const usable = this.#usable(only);
    const free = usable.filter(({ full }) => !full);
    return affinity === undefined ? leastUsed(free) : byAffinity(affinity, usable, free);
  }

  #free(): Endpoint[] {
    return this.#usable().filter(({ full }) => !full);
  }

  #on(devices: readonly string[] = []): readonly Endpoint[] | undefined {
    const there = this.#endpoints.filter(({ device }) => devices.includes(device));
    return there.length > 0 ? there : undefined;
  }

  #usable(among = this.#endpoints): Endpoint[] {
    const states = among.map((endpoint) => ({ endpoint, availability: endpoint.availability }));
    const up = states.filter(({ availability }) => availability === 'up');
    const usable = up.length > 0 ? up : states.filter(({ availability }) => availability === 'avoided');
    return usable.map(({ endpoint }) => endpoint);
  }
}

const leastUsed = (endpoints: readonly Endpoint[]): Endpoint | undefined =>
  endpoints.toSorted((a, b) => a.outstanding - b.outstanding || a.usedAt - b.usedAt)[0];

const tooLong = (ms: number) =>
  new MillraceError('QUEUE_TIMEOUT', `no place at a model server within ${Math.round(ms)} ms`);
