import { type Candidate, cellAt, mayOverlap, type Replica, replicasByDevice, useOn } from './candidate.js';
import { roomOf } from './memory.js';
import { areParts, type Problem, type Use } from './problem.js';

/** A candidate under change: its contents and the room left. */
export class Workbench {
  readonly #problem: Problem;
  readonly #configs: number[];
  readonly #on = new Map<number, Replica[]>();
  readonly #delaysMs: Candidate['delaysMs'];
  #replicas: Replica[];

  constructor(problem: Problem, { configs, replicas, delaysMs }: Candidate) {
    this.#problem = problem;
    this.#delaysMs = delaysMs;
    this.#configs = [...configs];
    this.#replicas = [...replicas];
    for (const [device, there] of replicasByDevice({ configs, replicas })) this.#on.set(device, there);
  }

  get candidate(): Candidate {
    return { configs: this.#configs, replicas: this.#replicas, delaysMs: this.#delaysMs };
  }

  on(device: number): readonly Replica[] {
    return this.#on.get(device) ?? [];
  }

  countOf(pool: number): number {
    return this.#replicas.filter((replica) => replica.pool === pool).length;
  }

  use(pool: number, device: number): Use | undefined {
    return useOn(this.#problem, { configs: this.#configs, replicas: [] }, pool, device);
  }

  /** Whether a one-device replica of a pool can be added there. */
  fits(pool: number, device: number): boolean {
    return this.fitsOn(pool, [device]);
  }

  /** Whether a replica of a pool can be added on exactly these devices of a cell, whether or not others have some of them. */
  fitsOn(pool: number, devices: readonly number[]): boolean {
    const use = this.use(pool, devices[0] ?? -1);
    return use?.width === devices.length && devices.every((device) => this.#fitsBeside(pool, use, devices, device));
  }

  /** Whether it can be added as far as one of the devices is concerned. */
  #fitsBeside(pool: number, use: Use, devices: readonly number[], device: number): boolean {
    const cell = cellAt(this.#problem, device);
    if (cell === undefined) return false;
    let bytes = use.memoryBytes;
    let llm = use.profile.batching === 'continuous';
    if (cell.sharing === 'exclusive' && !this.isFree(device)) return false;
    let same = 0;
    for (const replica of this.on(device)) {
      const other = this.use(replica.pool, device);
      if (other === undefined || !mayOverlap(cell, replica.devices, devices)) return false;
      if (areParts(this.#problem, pool, replica.pool)) return false;
      bytes += other.memoryBytes;
      llm ||= other.profile.batching === 'continuous';
      if (replica.pool === pool) same += 1;
    }
    return bytes <= roomOf(cell, llm) && same < cell.concurrency;
  }

  /** Devices in use, or groups of them, on which a replica of a pool fits that has none there. */
  placesFor(pool: number): readonly (readonly number[])[] {
    const places = new Map<string, readonly number[]>();
    for (const device of this.usedDevices()) {
      const width = this.use(pool, device)?.width ?? 1;
      // A group is named once, by its first device.
      const here = width === 1 ? [[device]] : this.#groupsFrom(device, width);
      for (const devices of here) places.set(devices.join(), devices);
    }
    for (const devices of this.#groupsOfNarrower(pool)) places.set(devices.join(), devices);
    const isNew = (devices: readonly number[]) =>
      devices.every((device) => this.on(device).every((other) => other.pool !== pool));
    return [...places.values()].filter((devices) => isNew(devices) && this.fitsOn(pool, devices));
  }

  /** Groups of so many devices that begin with this one, within those that a replica spans. */
  #groupsFrom(device: number, width: number): readonly (readonly number[])[] {
    return this.on(device).flatMap(({ devices }) => {
      const at = devices.indexOf(device);
      return at % width === 0 && at + width <= devices.length ? [devices.slice(at, at + width)] : [];
    });
  }

  /** Groups for a replica of a pool that spans several devices, among those of a cell on which all others span fewer. */
  #groupsOfNarrower(pool: number): readonly (readonly number[])[] {
    return this.#problem.cells.flatMap(({ devices }) => {
      const width = this.use(pool, devices[0] ?? -1)?.width ?? 1;
      if (width === 1) return [];
      const used = devices.filter(
        (device) => !this.isFree(device) && this.on(device).every((other) => other.devices.length < width),
      );
      const groups = Math.floor(used.length / width);
      return Array.from({ length: groups }, (_, i) => used.slice(i * width, (i + 1) * width));
    });
  }

  add(pool: number, devices: readonly number[]): void {
    const replica = { pool, devices };
    this.#replicas.push(replica);
    for (const device of devices) this.#on.set(device, [...this.on(device), replica]);
  }

  remove(replica: Replica): void {
    this.#replicas = this.#replicas.filter((each) => each !== replica);
    for (const device of replica.devices) {
      const left = this.on(device).filter((each) => each !== replica);
      if (left.length > 0) this.#on.set(device, left);
      else this.#on.delete(device);
    }
  }

  setConfig(pool: number, config: number): void {
    this.#configs[pool] = config;
  }

  usedDevices(): readonly number[] {
    return [...this.#on.keys()];
  }

  isFree(device: number): boolean {
    return !this.#on.has(device);
  }

  /** Free devices for one replica of a pool in a cell: as many as it is wide; undefined if there are too few. */
  freeFor(pool: number, cell: number): readonly number[] | undefined {
    return this.freeAmong(pool, this.#problem.cells[cell]?.devices ?? []);
  }

  /** The same among some devices of a cell. */
  freeAmong(pool: number, devices: readonly number[]): readonly number[] | undefined {
    const width = this.use(pool, devices[0] ?? -1)?.width;
    if (width === undefined) return undefined;
    const free: number[] = [];
    for (const device of devices) {
      if (this.isFree(device)) free.push(device);
      if (free.length === width) return free;
    }
    return undefined;
  }
}
