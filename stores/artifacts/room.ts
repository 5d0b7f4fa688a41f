import { readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import { fileError } from './file-write.js';

export interface RoomLimits {
  /** Most bytes of artifacts of one tenant; a put above it throws `QUOTA_EXCEEDED`. Default: no limit. */
  readonly tenantBytes?: number | undefined;
  /** Bytes that a put leaves free on the store's file system; below it a put throws `STORE_FULL`. Default: none. */
  readonly reserveBytes?: number | undefined;
}

/** The room that one put takes, until it ends. */
export interface Taken {
  /** Counts bytes before they are written. Throws `QUOTA_EXCEEDED` or `STORE_FULL`. */
  add(bytes: number): Promise<void>;
  /** The put has ended; `kept` bytes of it are new in the store, 0 where it failed or the content was there before. */
  end(kept: number): void;
}

/** How often the disk is asked while a put goes on, in bytes. */
const LOOK_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * How long a tenant's measured use counts, in milliseconds. Between two measurements a process knows its own puts only: N
 * processes that share a folder may together pass a quota by what N - 1 of them write in this time.
 */
const MEASURED_FOR_MS = 60_000;
/** A large store takes long to measure: at most this share of the time goes into it. */
const MEASURING_SHARE = 0.05;

interface Use {
  /** Bytes when it was measured, and what this process has added since. */
  bytes: number;
  /** Bytes of puts that have not ended. */
  underWay: number;
  /** When the next measurement is due, on the process's monotonic clock. */
  dueAt: number;
  measuring: Promise<void> | undefined;
}

/** Bounds what a tenant keeps in a file store, and keeps the disk from running full. */
export class Room {
  readonly #root: string;
  readonly #tenantBytes: number;
  readonly #reserveBytes: number;
  readonly #uses = new Map<string, Use>();

  constructor(root: string, { tenantBytes, reserveBytes }: RoomLimits = {}) {
    this.#root = root;
    this.#tenantBytes = tenantBytes ?? Number.POSITIVE_INFINITY;
    this.#reserveBytes = reserveBytes ?? 0;
  }

  /** Begins a put. Throws `QUOTA_EXCEEDED` or `STORE_FULL` where there is no room for another byte. */
  async take(tenant: string): Promise<Taken> {
    const use = await this.#useOf(tenant);
    let taken = 0;
    let looked = 0;
    await this.#requireDisk(0);
    const add = async (bytes: number) => {
      taken += bytes;
      use.underWay += bytes;
      if (use.bytes + use.underWay > this.#tenantBytes) throw this.#exceeded(tenant);
      if (taken - looked < LOOK_EVERY_BYTES) return;
      looked = taken;
      await this.#requireDisk(LOOK_EVERY_BYTES);
    };
    // Nothing is counted yet: who is refused here has nothing to give back.
    if (use.bytes + use.underWay >= this.#tenantBytes) throw this.#exceeded(tenant);
    return {
      add,
      end(kept) {
        use.underWay -= taken;
        use.bytes += kept;
      },
    };
  }

  /** Throws `STORE_FULL` where the disk has less than the reserve and `more` bytes left. */
  async #requireDisk(more: number): Promise<void> {
    if (this.#reserveBytes === 0) return;
    const { bavail, bsize } = await statfs(this.#root).catch((error: unknown) => {
      throw fileError('write', error);
    });
    const free = bavail * bsize;
    if (free >= this.#reserveBytes + more) return;
    throw new MillraceError(
      'STORE_FULL',
      `the disk of the artifact store has ${free} bytes left and keeps ${this.#reserveBytes} free; remove artifacts or enlarge the disk`,
    );
  }

  #exceeded(tenant: string): MillraceError {
    return new MillraceError(
      'QUOTA_EXCEEDED',
      `tenant "${tenant}" would keep more than ${this.#tenantBytes} bytes of artifacts`,
      { fields: [{ field: 'tenant', message: `may keep ${this.#tenantBytes} bytes of artifacts` }] },
    );
  }

  async #useOf(tenant: string): Promise<Use> {
    let use = this.#uses.get(tenant);
    if (use === undefined) {
      use = { bytes: 0, underWay: 0, dueAt: 0, measuring: undefined };
      this.#uses.set(tenant, use);
    }
    if (this.#tenantBytes === Number.POSITIVE_INFINITY) return use;
    const first = use.dueAt === 0;
    if (use.dueAt <= performance.now()) use.measuring ??= this.#measure(tenant, use);
    if (first) await use.measuring;
    return use;
  }

  async #measure(tenant: string, use: Use): Promise<void> {
    const began = performance.now();
    const before = use.bytes;
    try {
      const found = await bytesIn(path.join(this.#root, tenant));
      // What this process has kept in the meantime may or may not be among what was found: it counts.
      use.bytes = found + (use.bytes - before);
    } finally {
      const took = performance.now() - began;
      use.dueAt = performance.now() + Math.max(MEASURED_FOR_MS, took / MEASURING_SHARE);
      use.measuring = undefined;
    }
  }
}

/** Bytes of the files below a folder; 0 where there is none. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(at);
    // A file that was removed in the meantime takes no room.
    else bytes += (await stat(at).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
