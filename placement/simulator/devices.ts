import { EVENT, type Events } from './events.js';

/**
 * Devices with the work of their replicas. On most, calls share the device evenly: with more calls than run concurrently
 * without slowing each other, all are slowed by the same factor. Each device has a clock that runs at that rate, so that
 * one number, the clock's reading at its end, determines when a call ends whatever joins or leaves meanwhile. On a serial
 * device work beyond the concurrency waits, first in, first out, and what runs is not slowed.
 */
export class Devices {
  readonly #concurrency: Float64Array;
  readonly #clock: Float64Array;
  readonly #readAt: Float64Array;
  readonly #running: Int32Array;
  readonly #stamp: Int32Array;
  /** Replicas of each device, one after the other, and the first index of each device. */
  readonly #replicas: Int32Array;
  readonly #first: Int32Array;
  readonly #deviceOf: Int32Array;
  /** Clock reading at which each replica's work ends; infinite while it is idle. */
  readonly ends: Float64Array;
  /** Milliseconds that each device was busy, weighted by the used share of its concurrency. */
  readonly busyMs: Float64Array;
  readonly #events: Events;
  /** By device: whether work waits for its turn; by replica: the work that waits, and the replica behind it. */
  readonly #serial: Uint8Array;
  readonly #waiting: Float64Array;
  readonly #behind: Int32Array;
  readonly #nextUp: Int32Array;
  readonly #lastUp: Int32Array;

  constructor(concurrency: readonly number[], deviceOf: Int32Array, events: Events, serial: readonly boolean[] = []) {
    const count = concurrency.length;
    this.#serial = Uint8Array.from(concurrency, (_, d) => (serial[d] ? 1 : 0));
    this.#waiting = new Float64Array(deviceOf.length).fill(Number.POSITIVE_INFINITY);
    this.#behind = new Int32Array(deviceOf.length);
    this.#nextUp = new Int32Array(count).fill(-1);
    this.#lastUp = new Int32Array(count).fill(-1);
    this.#concurrency = Float64Array.from(concurrency);
    this.#clock = new Float64Array(count);
    this.#readAt = new Float64Array(count);
    this.#running = new Int32Array(count);
    this.#stamp = new Int32Array(count);
    this.busyMs = new Float64Array(count);
    this.ends = new Float64Array(deviceOf.length).fill(Number.POSITIVE_INFINITY);
    this.#deviceOf = deviceOf;
    this.#first = new Int32Array(count + 1);
    for (const device of deviceOf) this.#first[device + 1] = (this.#first[device + 1] as number) + 1;
    for (let d = 0; d < count; d += 1) this.#first[d + 1] = (this.#first[d + 1] as number) + (this.#first[d] as number);
    const filled = this.#first.slice();
    this.#replicas = new Int32Array(deviceOf.length);
    for (const [replica, device] of deviceOf.entries()) {
      this.#replicas[filled[device] as number] = replica;
      filled[device] = (filled[device] as number) + 1;
    }
    this.#events = events;
  }

  /** Whether a replica has work in progress, or waiting for its turn. */
  isRunning(replica: number): boolean {
    return this.ends[replica] !== Number.POSITIVE_INFINITY || this.#waiting[replica] !== Number.POSITIVE_INFINITY;
  }

  /** Advances a device's clock to now, and returns its reading. */
  read(device: number, now: number): number {
    const running = this.#running[device] as number;
    const passed = now - (this.#readAt[device] as number);
    if (running > 0 && passed > 0) {
      const room = this.#concurrency[device] as number;
      this.#clock[device] = (this.#clock[device] as number) + (running <= room ? passed : (passed * room) / running);
      this.busyMs[device] = (this.busyMs[device] as number) + (running < room ? (passed * running) / room : passed);
    }
    this.#readAt[device] = now;
    return this.#clock[device] as number;
  }

  /** Sets the work of a replica until its next end, in milliseconds of an idle device; infinite: idle. */
  work(replica: number, now: number, ms: number): void {
    const device = this.#deviceOf[replica] as number;
    const clock = this.read(device, now);
    const ran = this.ends[replica] !== Number.POSITIVE_INFINITY;
    const runs = ms !== Number.POSITIVE_INFINITY;
    if (this.#serial[device] === 1 && runs && !ran && this.#isFull(device)) {
      this.#line(device, replica, ms);
      return;
    }
    this.ends[replica] = clock + ms;
    if (ran !== runs) this.#running[device] = (this.#running[device] as number) + (runs ? 1 : -1);
    if (!runs && this.#serial[device] === 1) this.#callUp(device, clock);
    this.#schedule(device, now);
  }

  #isFull(device: number): boolean {
    return (this.#running[device] as number) >= (this.#concurrency[device] as number);
  }

  #line(device: number, replica: number, ms: number): void {
    this.#waiting[replica] = ms;
    this.#behind[replica] = -1;
    if ((this.#nextUp[device] as number) < 0) this.#nextUp[device] = replica;
    else this.#behind[this.#lastUp[device] as number] = replica;
    this.#lastUp[device] = replica;
  }

  /** Starts waiting work while there is room. */
  #callUp(device: number, clock: number): void {
    for (let next = this.#nextUp[device] as number; next >= 0 && !this.#isFull(device); ) {
      this.ends[next] = clock + (this.#waiting[next] as number);
      this.#waiting[next] = Number.POSITIVE_INFINITY;
      this.#running[device] = (this.#running[device] as number) + 1;
      next = this.#behind[next] as number;
      this.#nextUp[device] = next;
    }
  }

  /** The next replica of a device whose work has ended by now; -1 if there is none. */
  ended(device: number): number {
    // Tolerance for rounding, so that no end is missed.
    const clock = (this.#clock[device] as number) * (1 + 1e-12) + 1e-9;
    for (let i = this.#first[device] as number; i < (this.#first[device + 1] as number); i += 1) {
      const replica = this.#replicas[i] as number;
      if ((this.ends[replica] as number) <= clock) return replica;
    }
    return -1;
  }

  /** Whether an event of a device is still current. */
  isCurrent(device: number, stamp: number): boolean {
    return this.#stamp[device] === stamp;
  }

  #schedule(device: number, now: number): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = this.#first[device] as number; i < (this.#first[device + 1] as number); i += 1) {
      const end = this.ends[this.#replicas[i] as number] as number;
      if (end < earliest) earliest = end;
    }
    const stamp = (this.#stamp[device] as number) + 1;
    this.#stamp[device] = stamp;
    if (earliest === Number.POSITIVE_INFINITY) return;
    const running = this.#running[device] as number;
    const room = this.#concurrency[device] as number;
    const left = Math.max(0, earliest - (this.#clock[device] as number));
    this.#events.push(now + (running <= room ? left : (left * running) / room), EVENT.device, device, stamp);
  }
}
