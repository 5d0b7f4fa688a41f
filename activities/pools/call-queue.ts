import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import type { Priority } from '../../pipelines/plan/index.js';
import { Turns } from '../../runtime/turns.js';
import { byAffinity, byPrefix, leastUsed } from './affinity.js';
import type { Endpoint } from './endpoint.js';
import { TurnOrder } from './turn-order.js';

/**
 * Calls wait in order of priority, then tenants take turns, then in order of arrival; with ageing: a call that is first in its class
 * precedes every call of the next higher class that arrives this much later, so a steady stream of interactive calls delays a batch call
 * by at most 20 s. 10 s is longer than an interactive caller waits and short compared with the minutes of a batch.
 */
const HEAD_START_MS = 10_000;
/** Longest time for which a call waits for a full endpoint rather than go where it has just failed. */
const AVOIDED_MS = 1_000;
const RANK: Readonly<Record<Priority, number>> = { interactive: 0, default: 1, batch: 2 };

export interface SlotRequest {
  readonly signal: AbortSignal;
  /** Default `default`. */
  readonly tenant?: string | undefined;
  /** Default `default`. */
  readonly priority?: Priority | undefined;
  /** Calls with the same key go to the same endpoint if that costs little. */
  readonly affinity?: string | undefined;
  /** Blocks of its prompt: it goes to the endpoint that knows most of them if that costs little, whatever `affinity` is. */
  readonly prefix?: readonly string[] | undefined;
  /** Devices to use if the pool has an endpoint on one of them. Absent: any. */
  readonly devices?: readonly string[] | undefined;
  /** Checkpoint of an earlier attempt: the call goes to the endpoint that holds it, if one of the eligible ones does. */
  readonly resumeFrom?: Json | undefined;
  /** URL of the endpoint at which the call has just failed: avoided if another one accepts calls now, or within a second and `queueMs`. */
  readonly avoid?: string | undefined;
  /** Longest wait in milliseconds; a free slot is assigned regardless. */
  readonly queueMs?: number | undefined;
}

/** A slot of an endpoint, to be returned with `CallQueue.release`. */
export interface Slot {
  readonly endpoint: Endpoint;
  readonly leave: () => void;
}

interface Waiter {
  /** Sort key: arrival in ms plus the head start of higher classes. */
  readonly due: number;
  readonly rank: number;
  readonly tenant: string;
  readonly affinity: string | undefined;
  readonly prefix: readonly string[] | undefined;
  /** Devices of the eligible endpoints, if there are any on them. */
  readonly devices: readonly string[] | undefined;
  readonly resumeFrom: Json | undefined;
  readonly avoid: string | undefined;
  /** When it goes back to that one if there is no other. */
  readonly goesBackAt: number;
  /** Calls of one kind may go to the same endpoints. Undefined: only the endpoints say where it may go. */
  readonly kind: string | undefined;
  grant(slot: Slot): void;
  /** Leaves the queue without a slot. */
  leave(reason: unknown): void;
}

/**
 * Assigns slots of endpoints: of the one that `prefix` or `affinity` prefers, else of the one with the fewest calls in flight. An
 * endpoint whose breaker is open or being probed is skipped while another is up; calls wait for one under repair. Calls
 * do not wait for an unreachable endpoint, because that would hold a slot of the worker.
 */
export class CallQueue {
  readonly #endpoints: readonly Endpoint[];
  /** In order of arrival. */
  readonly #waiting = new Set<Waiter>();
  readonly #turns = new Turns();
  #wakeUp: NodeJS.Timeout | undefined;
  readonly #noneThere: (away: MillraceError) => MillraceError;
  readonly #zone: string | undefined;
  /** Why there are no endpoints, once that is known; calls wait until then. */
  empty: MillraceError | undefined;

  /**
   * @param endpoints may change; `next` is to be called then
   * @param noneThere builds the error of a call without a reachable endpoint from one endpoint's error
   * @param zone of this worker
   */
  constructor(endpoints: readonly Endpoint[], noneThere: (away: MillraceError) => MillraceError, zone?: string) {
    this.#endpoints = endpoints;
    this.#noneThere = noneThere;
    this.#zone = zone;
  }

  /**
   * Rejects with the signal's reason when it aborts, with `QUEUE_TIMEOUT` after `queueMs`, and when all endpoints are
   * away.
   */
  acquire(request: SlotRequest): Promise<Slot> {
    const {
      signal,
      tenant = 'default',
      priority = 'default',
      affinity,
      prefix,
      devices,
      resumeFrom,
      avoid,
      queueMs,
    } = request;
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      let impatience: NodeJS.Timeout | undefined;
      let settled = false;
      const end = () => {
        clearTimeout(impatience);
        signal.removeEventListener('abort', onAbort);
      };
      const waiter: Waiter = {
        due: performance.now() + RANK[priority] * HEAD_START_MS,
        rank: RANK[priority],
        tenant,
        affinity,
        prefix,
        devices,
        resumeFrom,
        avoid,
        goesBackAt: performance.now() + Math.min(AVOIDED_MS, queueMs ?? AVOIDED_MS),
        kind: resumeFrom === undefined ? JSON.stringify([devices, avoid]) : undefined,
        grant(slot) {
          settled = true;
          end();
          resolve(slot);
        },
        leave: (reason) => {
          settled = true;
          end();
          this.#waiting.delete(waiter);
          this.#tellServers();
          reject(reason);
        },
      };
      const onAbort = () => waiter.leave(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiting.add(waiter);
      this.next();
      if (settled || queueMs === undefined) return;
      impatience = setTimeout(() => waiter.leave(tooLong(queueMs)), queueMs);
    });
  }

  /** A slot that is free now, not of `avoided` if another endpoint has one; undefined without one or if calls wait. */
  spare(avoided: Endpoint, tenant: string): Slot | undefined {
    if (this.#waiting.size > 0) return undefined;
    const free = this.#free();
    const others = free.filter((endpoint) => endpoint !== avoided);
    const endpoint = leastUsed(others.length > 0 ? others : free);
    return endpoint && this.#slotAt(endpoint, tenant);
  }

  /** Whether `acquire` may soon find a slot although `spare` finds none: the server's slots are shared, and granted on request. */
  get awaitsSlot(): boolean {
    return this.#waiting.size === 0 && this.#usable().some((endpoint) => endpoint.awaitsSlot);
  }

  release({ leave }: Slot): void {
    leave();
    this.next();
  }

  /** Serves waiting calls as far as there is room. Called whenever an endpoint's state has changed. */
  next(): void {
    clearTimeout(this.#wakeUp);
    this.#serve();
    this.#tellServers();
    if (this.#waiting.size === 0) return;
    const times = this.#endpoints.flatMap(({ changesAt }) => changesAt ?? []);
    if (times.length > 0) {
      this.#wakeUp = setTimeout(() => this.next(), Math.max(1, Math.min(...times) - performance.now()));
    }
  }

  /** How many calls wait for their slots: of each endpoint at most as many as its `concurrency` leaves. */
  #tellServers(): void {
    for (const endpoint of this.#endpoints) {
      const { server, concurrency, outstanding } = endpoint;
      server?.wanted(endpoint, Math.max(0, Math.min(this.#waiting.size, concurrency - outstanding)));
    }
  }

  #serve(): void {
    const order = this.#order();
    /** Kinds of calls for which there is no slot now. */
    const inVain = new Set<string>();
    for (let waiter = order.next(); waiter; waiter = order.next()) {
      const { kind, tenant, avoid, prefix = [] } = waiter;
      if (kind !== undefined && inVain.has(kind)) continue;
      const only = this.#eligible(waiter);
      const away = this.#endpoints.length === 0 ? this.empty : awayAll(only ?? this.#endpoints);
      if (away) {
        waiter.leave(this.#noneThere(away));
        continue;
      }
      const endpoint = this.#choose(waiter, only);
      // If a call without restrictions finds no slot, neither do those behind it.
      if (!endpoint && only === undefined && avoid === undefined) return;
      if (!endpoint) {
        if (kind !== undefined) inVain.add(kind);
        continue;
      }
      this.#waiting.delete(waiter);
      endpoint.prefixes.add(prefix);
      waiter.grant(this.#slotAt(endpoint, tenant));
      order.served?.(tenant);
    }
  }

  /** In which order the waiting calls are tried. */
  #order(): Pick<TurnOrder<Waiter>, 'next'> & Partial<Pick<TurnOrder<Waiter>, 'served'>> {
    if (!this.#endpoints.every(({ full }) => full)) return new TurnOrder(this.#waiting, this.#turns);
    // None is served, and with many that wait the order would take long.
    const all = this.#waiting.values();
    return { next: () => all.next().value };
  }

  #slotAt(endpoint: Endpoint, tenant: string): Slot {
    const [left, ended] = [endpoint.enter(), this.#turns.take(tenant)];
    return {
      endpoint,
      leave() {
        // First: whose turn it is may be asked as soon as the place is free.
        ended();
        left();
      },
    };
  }

  #choose(waiter: Waiter, only: readonly Endpoint[] | undefined): Endpoint | undefined {
    const { affinity, prefix } = waiter;
    const usable = this.#usable(only, waiter);
    const free = this.#near(usable.filter(({ full }) => !full));
    const choose = (among: Endpoint[]) => {
      if (prefix !== undefined) return byPrefix(prefix, usable, among);
      return affinity === undefined ? leastUsed(among) : byAffinity(affinity, usable, among);
    };
    const chosen = choose(free);
    // A worker that has slots of one server only would call no other.
    if (chosen && usable.some(({ awaitsSlot }) => awaitsSlot)) {
      const best = choose(this.#near(usable.filter(({ full, awaitsSlot }) => !full || awaitsSlot)));
      if (best !== chosen) best?.server?.prepare();
    }
    return chosen;
  }

  #free(): Endpoint[] {
    return this.#near(this.#usable().filter(({ full }) => !full));
  }

  /** Those of the worker's own zone, if any: a full or broken one is left out before, so that others take over. */
  #near(free: Endpoint[]): Endpoint[] {
    const near = this.#zone === undefined ? [] : free.filter(({ zone }) => zone === this.#zone);
    return near.length > 0 ? near : free;
  }

  /** Undefined: all. */
  #eligible({ devices = [], resumeFrom, avoid }: Waiter): readonly Endpoint[] | undefined {
    const there = this.#endpoints.filter(({ device }) => devices.includes(device));
    const only = there.length > 0 ? there : undefined;
    if (resumeFrom === undefined) return only;
    const holding = (only ?? this.#endpoints).flatMap((endpoint) => {
      const holds = holdsAt(endpoint, resumeFrom);
      const { availability, url } = endpoint;
      const isOut = availability === 'away' || (availability === 'avoided' && url === avoid);
      return holds && !(holds === 'preferred' && isOut) ? [endpoint] : [];
    });
    return holding.length > 0 ? holding : only;
  }

  #usable(among = this.#endpoints, { avoid, goesBackAt = 0 }: Partial<Waiter> = {}): Endpoint[] {
    const states = among.map((endpoint) => ({ endpoint, availability: endpoint.availability }));
    const up = states.filter(({ availability }) => availability === 'up');
    const others = up.filter(({ endpoint }) => endpoint.url !== avoid);
    if (others.length > 0) return others.map(({ endpoint }) => endpoint);
    // Only the one that it avoids takes calls.
    const isSoonUp = ({ shedUntil }: Endpoint) => shedUntil !== undefined && shedUntil < goesBackAt;
    if (up.length > 0 && among.some(isSoonUp)) return [];
    const usable = up.length > 0 ? up : states.filter(({ availability }) => availability === 'avoided');
    return usable.map(({ endpoint }) => endpoint);
  }
}

/** A connector of somebody else that throws here must not end the call that has just returned its slot. */
function holdsAt({ backend }: Endpoint, checkpoint: Json): boolean | 'preferred' {
  try {
    return backend.holds?.(checkpoint) ?? false;
  } catch {
    return false;
  }
}

/** The error of one of them if none can be reached. */
function awayAll(endpoints: readonly Endpoint[]): MillraceError | undefined {
  return endpoints.every(({ availability }) => availability === 'away') ? endpoints[0]?.away : undefined;
}

const tooLong = (ms: number) =>
  new MillraceError('QUEUE_TIMEOUT', `no free slot at a model server within ${Math.round(ms)} ms`);
