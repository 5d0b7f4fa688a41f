import { type Candidate, cellAt, isOnSame, type Replica, replicasByDevice, useOn } from './candidate.js';
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

  /** Whether a replica of a pool can be added on exactly these devices, which are free or which others span as well. */
  fitsOn(pool: number, devices: readonly number[]): boolean {
    const [device = -1] = devices;
    const use = this.use(pool, device);
    const cell = cellAt(this.#problem, device);
    if (use === undefined || cell === undefined || use.width !== devices.length) return false;
    let bytes = use.memoryBytes;
    let llm = use.profile.batching === 'continuous';
    if (cell.sharing === 'exclusive' && !this.isFree(device)) return false;
    if (devices.some((each) => this.on(each).length !== this.on(device).length)) return false;
    let same = 0;
    for (const replica of this.on(device)) {
      const other = this.use(replica.pool, device);
      if (other === undefined || !isOnSame(replica.devices, devices)) return false;
      if (areParts(this.#problem, pool, replica.pool)) return false;
      bytes += other.memoryBytes;
      llm ||= other.profile.batching === 'continuous';
      if (replica.pool === pool) same += 1;
    }
    return bytes <= roomOf(cell, llm) && same < cell.concurrency;
  }

  /** Devices in use, or groups of them that replicas span, on which a replica of a pool fits that has none there. */
  placesFor(pool: number): readonly (readonly number[])[] {
    return this.usedDevices().flatMap((device) => {
      const [first] = this.on(device);
      const devices = (this.use(pool, device)?.width ?? 1) === 1 ? [device] : (first?.devices ?? []);
      // A group is named once, by its first device.
      if (devices[0] !== device || this.on(device).some((other) => other.pool === pool)) return [];
      return this.fitsOn(pool, devices) ? [devices] : [];
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
