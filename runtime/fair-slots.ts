import { TenantSlots } from './tenant-slots.js';
import { Turns } from './turns.js';
import { tooManyWait, WaitingRoom, waitedTooLong } from './waiting-room.js';

interface Waiter {
  enter(release: () => void): void;
}

/** Bounds of the wait for a slot. */
interface WaitBounds {
  /** Longest wait, in milliseconds. */
  readonly ms: number;
  /** What is waited for, in the message of the error: `place for ffmpeg`. */
  readonly what: string;
}

/**
 * Slots for work of all tenants, of which one tenant has a share at most: a tenant whose work is slow, or whose clients do not read what
 * is made for them, holds up its own work only. Tenants that wait take turns: the one with the fewest slots is next, then the one whose last turn is
 * longest ago; the work of one tenant enters in order.
 */
export class FairSlots {
  readonly #slots: TenantSlots;
  readonly #turns = new Turns();
  readonly #bounds: WaitBounds | undefined;
  readonly #room = new WaitingRoom();
  /** By tenant, each in order of arrival. */
  readonly #waiting = new Map<string, Set<Waiter>>();

  /** @param bounds of waits. Absent: who waits does so until its signal aborts, however many wait. */
  constructor(most: number, mostOfTenant: number, bounds?: WaitBounds) {
    this.#slots = new TenantSlots(most, mostOfTenant);
    this.#bounds = bounds;
  }

  /**
   * Resolves with what releases the slot, of which further calls have no effect. Throws the signal's reason if it aborts first, and within
   * bounds `OVERLOADED` if too many calls of the tenant wait, or this one has waited too long.
   * @param onWait called if there is none at once; what it throws ends the wait
   */
  async acquire(tenant: string, signal: AbortSignal, onWait?: () => void): Promise<() => void> {
    signal.throwIfAborted();
    return this.#take(tenant) ?? (await this.#slotFor(tenant, signal, onWait));
  }

  /** Does the work in a slot of its own. Throws as `acquire` does, and what the work throws. */
  async use<T>(tenant: string, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const release = await this.acquire(tenant, signal);
    try {
      return await work();
    } finally {
      release();
    }
  }

  #take(tenant: string): (() => void) | undefined {
    const leave = this.#slots.take(tenant);
    if (leave === undefined) return undefined;
    const ended = this.#turns.take(tenant);
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      ended();
      leave();
      this.#admitNext();
    };
  }

  #slotFor(tenant: string, signal: AbortSignal, onWait: () => void = () => undefined): Promise<() => void> {
    onWait();
    const bounds = this.#bounds;
    if (bounds && !this.#room.begin(tenant)) throw tooManyWait(`a ${bounds.what}`);
    return new Promise((resolve, reject) => {
      const line = this.#waiting.get(tenant) ?? new Set<Waiter>();
      this.#waiting.set(tenant, line);
      let impatience: NodeJS.Timeout | undefined;
      const end = () => {
        clearTimeout(impatience);
        signal.removeEventListener('abort', leave);
        line.delete(waiter);
        if (line.size === 0) this.#waiting.delete(tenant);
        if (bounds) this.#room.end(tenant);
      };
      const giveUp = (reason: unknown) => {
        end();
        reject(reason);
      };
      const leave = () => giveUp(signal.reason);
      const waiter: Waiter = {
        enter(release) {
          end();
          resolve(release);
        },
      };
      signal.addEventListener('abort', leave, { once: true });
      line.add(waiter);
      if (bounds) impatience = setTimeout(() => giveUp(waitedTooLong(bounds.what, bounds.ms)), bounds.ms);
    });
  }

  /** One slot has become free: the first who waits of the tenant whose turn it is takes it. */
  #admitNext(): void {
    let next: string | undefined;
    for (const tenant of this.#waiting.keys()) {
      if (this.#slots.hasAll(tenant)) continue;
      if (next === undefined || this.#turns.precedes(tenant, next)) next = tenant;
    }
    if (next === undefined) return;
    const waiter = this.#waiting.get(next)?.values().next().value;
    if (waiter === undefined) return;
    const release = this.#take(next);
    if (release) waiter.enter(release);
  }
}
