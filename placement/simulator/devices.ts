import { EVENT, type Events } from './events.js';
import type { SimulatedDevices, SimulatedReplica } from './system.js';

/**
 * Devices with the work of their replicas. On most, calls share the device evenly: with more calls than run concurrently,
 * all are slowed by the same factor. Those that run concurrently take the longer the more they are, up to `slowdown` times as long. Each device has a clock that runs at that rate, so that
 * one number, the clock's reading at its end, determines when a call ends whatever joins or leaves meanwhile. On a serial
 * device work beyond the concurrency waits, first in, first out, and what runs is not slowed.
 *
 * Work that spans devices occupies all of them, and is as slow as on the slowest: its parts wait for each other at every
 * step. The devices that a replica spans are a group with a clock of its own; every device is such a group, too.
 */
export class Devices {
  readonly #concurrency: Float64Array;
  /** By device: how much longer a call takes for each other that runs, as a share of its time. */
  readonly #drag: Float64Array;
  /** Groups of several devices; they are numbered behind the single devices. */
  readonly #wide: (readonly number[])[] = [];
  /** By group: those that share a device with it, itself included. Absent: no other does. */
  readonly #beside = new Map<number, ReadonlySet<number>>();
  /** By group. */
  readonly #clock: Float64Array;
  readonly #readAt: Float64Array;
  readonly #stamp: Int32Array;
  /** Work in progress on each device. */
  readonly #running: Int32Array;
  /** Replicas of each group, one after the other, and the first index of each group. */
  readonly #replicas: Int32Array;
  readonly #first: Int32Array;
  readonly #groupOf: Int32Array;
  /** Clock reading at which each replica's work ends; infinite while it is idle. */
  readonly ends: Float64Array;
  /** Milliseconds that each device was busy, weighted by the used share of its concurrency. */
  readonly busyMs: Float64Array;
  readonly #events: Events;
  /** By group: whether work waits for its turn; by replica: the work that waits, and the replica behind it. */
  readonly #serial: Uint8Array;
  readonly #waiting: Float64Array;
  readonly #behind: Int32Array;
  readonly #nextUp: Int32Array;
  readonly #lastUp: Int32Array;

  /** Groups do not overlap on serial devices. */
  constructor(
    { concurrency, slowdown = [], serial = [] }: Pick<SimulatedDevices, 'concurrency' | 'slowdown' | 'serial'>,
    replicas: readonly Pick<SimulatedReplica, 'device' | 'spans'>[],
    events: Events,
  ) {
    this.#drag = Float64Array.from(concurrency, (room, d) => (room > 1 ? ((slowdown[d] ?? 1) - 1) / (room - 1) : 0));
    this.#groupOf = this.#grouped(replicas, concurrency.length);
    const count = concurrency.length + this.#wide.length;
    this.#serial = new Uint8Array(count);
    for (const d of concurrency.keys()) this.#serial[d] = serial[d] ? 1 : 0;
    for (const [w, [first = 0]] of this.#wide.entries()) this.#serial[concurrency.length + w] = serial[first] ? 1 : 0;
    this.#waiting = new Float64Array(replicas.length).fill(Number.POSITIVE_INFINITY);
    this.#behind = new Int32Array(replicas.length);
    this.#nextUp = new Int32Array(count).fill(-1);
    this.#lastUp = new Int32Array(count).fill(-1);
    this.#concurrency = Float64Array.from(concurrency);
    this.#clock = new Float64Array(count);
    this.#readAt = new Float64Array(count);
    this.#running = new Int32Array(concurrency.length);
    this.#stamp = new Int32Array(count);
    this.busyMs = new Float64Array(concurrency.length);
    this.ends = new Float64Array(replicas.length).fill(Number.POSITIVE_INFINITY);
    this.#first = new Int32Array(count + 1);
    for (const group of this.#groupOf) this.#first[group + 1] = (this.#first[group + 1] as number) + 1;
    for (let g = 0; g < count; g += 1) this.#first[g + 1] = (this.#first[g + 1] as number) + (this.#first[g] as number);
    const filled = this.#first.slice();
    this.#replicas = new Int32Array(replicas.length);
    for (const [replica, group] of this.#groupOf.entries()) {
      this.#replicas[filled[group] as number] = replica;
      filled[group] = (filled[group] as number) + 1;
    }
    this.#events = events;
  }

  /** The group of each replica; notes the groups of several devices. */
  #grouped(replicas: readonly Pick<SimulatedReplica, 'device' | 'spans'>[], devices: number): Int32Array {
    const known = new Map<string, number>();
    const on = new Map<number, number[]>();
    const groupOf = Int32Array.from(replicas, ({ device, spans }) => {
      if (spans === undefined || spans.length < 2) return device;
      const key = [...spans].sort((a, b) => a - b).join();
      const group = known.get(key) ?? devices + this.#wide.length;
      if (known.has(key)) return group;
      known.set(key, group);
      this.#wide.push(spans);
      for (const each of spans) on.set(each, [...(on.get(each) ?? [each]), group]);
      return group;
    });
    for (const [device, groups] of on) this.#beside.set(device, new Set(groups));
    for (const [w, spans] of this.#wide.entries()) {
      this.#beside.set(devices + w, new Set(spans.flatMap((each) => on.get(each) ?? [])));
    }
    return groupOf;
  }

  /** Whether a replica has work in progress, or waiting for its turn. */
  isRunning(replica: number): boolean {
    return this.ends[replica] !== Number.POSITIVE_INFINITY || this.#waiting[replica] !== Number.POSITIVE_INFINITY;
  }

  /** Advances the clock of a device, or of a group of devices, to now, and returns its reading. */
  read(group: number, now: number): number {
    const device = this.#slowestOf(group);
    const running = this.#running[device] as number;
    const passed = now - (this.#readAt[group] as number);
    if (running > 0 && passed > 0) {
      const room = this.#concurrency[device] as number;
      const shared = running <= room ? passed : (passed * room) / running;
      this.#clock[group] = (this.#clock[group] as number) + shared / this.#dragOn(device);
      if (device === group)
        this.busyMs[device] = (this.busyMs[device] as number) + (running < room ? (passed * running) / room : passed);
    }
    this.#readAt[group] = now;
    return this.#clock[group] as number;
  }

  /** Advances the clock of a replica's devices to now, and returns its reading. */
  readOf(replica: number, now: number): number {
    return this.read(this.#groupOf[replica] as number, now);
  }

  /** How many times as long calls on a device take that run concurrently. */
  #dragOn(device: number): number {
    const others = Math.min(this.#running[device] as number, this.#concurrency[device] as number) - 1;
    return others > 0 ? 1 + (this.#drag[device] as number) * others : 1;
  }

  /** The device of a group on which work is slowest. */
  #slowestOf(group: number): number {
    if (group < this.#running.length) return group;
    const slowness = (device: number) =>
      Math.max(1, (this.#running[device] as number) / (this.#concurrency[device] as number)) * this.#dragOn(device);
    const devices = this.#wide[group - this.#running.length] as readonly number[];
    return devices.reduce((slowest, device) => (slowness(device) > slowness(slowest) ? device : slowest));
  }

  /** Sets the work of a replica until its next end, in milliseconds of idle devices; infinite: idle. */
  work(replica: number, now: number, ms: number): void {
    const group = this.#groupOf[replica] as number;
    const clock = this.read(group, now);
    const ran = this.ends[replica] !== Number.POSITIVE_INFINITY;
    const runs = ms !== Number.POSITIVE_INFINITY;
    if (this.#serial[group] === 1 && runs && !ran && this.#isFull(group)) {
      this.#line(group, replica, ms);
      return;
    }
    this.ends[replica] = clock + ms;
    if (ran !== runs) this.#count(group, runs ? 1 : -1, now);
    if (!runs && this.#serial[group] === 1) this.#callUp(group, clock, now);
    this.#schedule(group, now);
    const beside = ran === runs ? undefined : this.#beside.get(group);
    // The others on these devices have become faster or slower.
    if (beside) for (const other of beside) if (other !== group) this.#schedule(other, now);
  }

  /** Counts work that begins or ends on a group's devices. Clocks whose rate this changes are read before. */
  #count(group: number, more: number, now: number): void {
    const beside = this.#beside.get(group);
    if (beside) for (const other of beside) this.read(other, now);
    if (group < this.#running.length) {
      this.#running[group] = (this.#running[group] as number) + more;
      return;
    }
    for (const device of this.#wide[group - this.#running.length] as readonly number[]) {
      this.#running[device] = (this.#running[device] as number) + more;
    }
  }

  #isFull(group: number): boolean {
    const device = this.#slowestOf(group);
    return (this.#running[device] as number) >= (this.#concurrency[device] as number);
  }

  #line(group: number, replica: number, ms: number): void {
    this.#waiting[replica] = ms;
    this.#behind[replica] = -1;
    if ((this.#nextUp[group] as number) < 0) this.#nextUp[group] = replica;
    else this.#behind[this.#lastUp[group] as number] = replica;
    this.#lastUp[group] = replica;
  }

  /** Starts waiting work while there is room. */
  #callUp(group: number, clock: number, now: number): void {
    for (let next = this.#nextUp[group] as number; next >= 0 && !this.#isFull(group); ) {
      this.ends[next] = clock + (this.#waiting[next] as number);
      this.#waiting[next] = Number.POSITIVE_INFINITY;
      this.#count(group, 1, now);
      next = this.#behind[next] as number;
      this.#nextUp[group] = next;
    }
  }

  /** The next replica of a group whose work has ended by now; -1 if there is none. */
  ended(group: number): number {
    // Tolerance for rounding, so that no end is missed.
    const clock = (this.#clock[group] as number) * (1 + 1e-12) + 1e-9;
    for (let i = this.#first[group] as number; i < (this.#first[group + 1] as number); i += 1) {
      const replica = this.#replicas[i] as number;
      if ((this.ends[replica] as number) <= clock) return replica;
    }
    return -1;
  }

  /** Whether an event of a group is still current. */
  isCurrent(group: number, stamp: number): boolean {
    return this.#stamp[group] === stamp;
  }

  #schedule(group: number, now: number): void {
    let earliest = Number.POSITIVE_INFINITY;
    for (let i = this.#first[group] as number; i < (this.#first[group + 1] as number); i += 1) {
      const end = this.ends[this.#replicas[i] as number] as number;
      if (end < earliest) earliest = end;
    }
    const stamp = (this.#stamp[group] as number) + 1;
    this.#stamp[group] = stamp;
    if (earliest === Number.POSITIVE_INFINITY) return;
    const device = this.#slowestOf(group);
    const running = this.#running[device] as number;
    const room = this.#concurrency[device] as number;
    const left = Math.max(0, earliest - (this.#clock[group] as number)) * this.#dragOn(device);
    this.#events.push(now + (running <= room ? left : (left * running) / room), EVENT.device, group, stamp);
  }
}
