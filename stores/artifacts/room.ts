import { readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import { fileError } from './file-write.js';

export interface RoomLimits {
  /** Limit of a tenant's artifacts, in bytes; a put above it throws `QUOTA_EXCEEDED`. Default: no limit. */
  readonly tenantBytes?: number | undefined;
  /** Bytes that puts keep free on the store's file system; below that a put throws `STORE_FULL`. Default: none. */
  readonly reserveBytes?: number | undefined;
}

/** The space that one put reserves until it ends. */
export interface Taken {
  /** Counts bytes before they are written. Throws `QUOTA_EXCEEDED` or `STORE_FULL`. */
  add(bytes: number): Promise<void>;
  /** Ends the put. `kept`: bytes added to the store; 0 if the put failed or the content already existed. */
  end(kept: number): void;
}

/** Free disk space is checked each time a put has written this many bytes. */
const CHECK_EVERY_BYTES = 8 * 1024 * 1024;

/**
 * How long a measurement of a tenant's use is valid, in milliseconds. Between measurements a process counts only its
 * own puts: N processes that share a folder may together exceed a quota by what N - 1 of them write in this time.
 */
const MEASURED_FOR_MS = 60_000;
/** Largest share of the time spent measuring: a large store takes long. */
const MEASURING_SHARE = 0.05;

interface Use {
  /** Bytes at the last measurement, plus those that this process has added since. */
  bytes: number;
  /** Bytes of puts in progress. */
  underWay: number;
  /** When the next measurement is due, by the process's monotonic clock. */
  dueAt: number;
  measuring: Promise<void> | undefined;
}

/** Enforces the quota of each tenant in a file store, and keeps the disk from filling up. */
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

  /** Begins a put. Throws `QUOTA_EXCEEDED` or `STORE_FULL` if there is no room for another byte. */
  async take(tenant: string): Promise<Taken> {
    const use = await this.#useOf(tenant);
    let taken = 0;
    let checkedAt = 0;
    await this.#requireDisk(0);
    const add = async (bytes: number) => {
      taken += bytes;
      use.underWay += bytes;
      await this.#requireRoom(tenant, use, 0);
      if (taken - checkedAt < CHECK_EVERY_BYTES) return;
      checkedAt = taken;
      await this.#requireDisk(CHECK_EVERY_BYTES);
    };
    // Nothing is reserved yet, so a rejected put has nothing to release.
    await this.#requireRoom(tenant, use, 1);
    return {
      add,
      end(kept) {
        use.underWay -= taken;
        use.bytes += kept;
      },
    };
  }

  /**
   * Throws `QUOTA_EXCEEDED` if a tenant may not add `more` bytes to those that are counted. A measurement under way is waited for first:
   * artifacts may have been removed since the last one.
   */
  async #requireRoom(tenant: string, use: Use, more: number): Promise<void> {
    const exceeds = () => use.bytes + use.underWay + more > this.#tenantBytes;
    if (exceeds()) await use.measuring;
    if (exceeds()) throw this.#exceeded(tenant);
  }

  /** Throws `STORE_FULL` if the disk has less than the reserve plus `more` bytes left. */
  async #requireDisk(more: number): Promise<void> {
    if (this.#reserveBytes === 0) return;
    const { bavail, bsize } = await statfs(this.#root).catch((error: unknown) => {
      throw fileError('write', error);
    });
    const free = bavail * bsize;
    if (free >= this.#reserveBytes + more) return;
    throw new MillraceError(
      'STORE_FULL',
      `the disk of the artifact store has ${free} bytes left, of which ${this.#reserveBytes} are reserved; remove artifacts or enlarge the disk`,
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
      // Puts of this process during the measurement may or may not be included in it; they are counted.
      use.bytes = found + (use.bytes - before);
    } finally {
      const took = performance.now() - began;
      use.dueAt = performance.now() + Math.max(MEASURED_FOR_MS, took / MEASURING_SHARE);
      use.measuring = undefined;
    }
  }
}

/** Bytes of the files below a folder; 0 if it does not exist. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(at);
    // A file removed during the measurement counts 0.
    else bytes += (await stat(at).catch(() => undefined))?.size ?? 0;
  }
  return bytes;
}
