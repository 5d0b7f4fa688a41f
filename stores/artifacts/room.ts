import type { StatsFs } from 'node:fs';
import { readdir, stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { MillraceError } from '../../pipelines/errors.js';
import { fileError } from './file-write.js';

export interface RoomLimits {
  /** Limit of the space that a tenant's artifacts take, in bytes; a put above it throws `QUOTA_EXCEEDED`. Default: no limit. */
  readonly tenantBytes?: number | undefined;
  /** Bytes that puts keep free on the store's file system, and some of its inodes; below that a put throws `STORE_FULL`. Default: none. */
  readonly reserveBytes?: number | undefined;
}

/** The space that one put reserves until it ends. */
export interface Taken {
  /** Counts bytes before they are written. Throws `QUOTA_EXCEEDED` or `STORE_FULL`. */
  add(bytes: number): Promise<void>;
  /** Ends the put. `kept`: bytes of the content that it has added; undefined if it failed or the content already existed. */
  end(kept: number | undefined): void;
}

/**
 * What a file counts at least, in bytes: it takes blocks of the disk, and one of its inodes, of which ext4 has one for each 16 KiB. Otherwise
 * a tenant with tiny files would use up the inodes of all long before its quota.
 */
const LEAST_BYTES = 8 * 1024;

/** The space that an artifact takes: that of its content, and of its metadata beside it. */
const spaceOf = (content: number): number => Math.max(content, LEAST_BYTES) + LEAST_BYTES;

/**
 * The share of the inodes that puts keep free, as a part of the reserve's share of the disk: where 10 % of the bytes are reserved, 1 % of the inodes.
 * A disk of media is short of bytes long before: only tiny files use up its inodes.
 */
const RESERVED_INODES = 0.1;

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
  /** Space taken at the last measurement, plus what this process has added since, in bytes. */
  bytes: number;
  /** Space of puts in progress, in bytes. */
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

  /** Begins a put. Throws `QUOTA_EXCEEDED` or `STORE_FULL` if there is no room for another file. */
  async take(tenant: string): Promise<Taken> {
    const use = await this.#useOf(tenant);
    let taken = 0;
    let checkedAt = 0;
    await this.#requireDisk(0);
    use.underWay += spaceOf(0);
    const end = (kept: number | undefined) => {
      use.underWay -= spaceOf(taken);
      if (kept !== undefined) use.bytes += spaceOf(kept);
    };
    const add = async (bytes: number) => {
      use.underWay += spaceOf(taken + bytes) - spaceOf(taken);
      taken += bytes;
      await this.#requireRoom(tenant, use);
      if (taken - checkedAt < CHECK_EVERY_BYTES) return;
      checkedAt = taken;
      await this.#requireDisk(CHECK_EVERY_BYTES);
    };
    await this.#requireRoom(tenant, use).catch((error: unknown) => {
      end(undefined);
      throw error;
    });
    return { add, end };
  }

  /**
   * Throws `QUOTA_EXCEEDED` if what is counted of a tenant is above its limit. A measurement under way is waited for first: artifacts may have
   * been removed since the last one.
   */
  async #requireRoom(tenant: string, use: Use): Promise<void> {
    const exceeds = () => use.bytes + use.underWay > this.#tenantBytes;
    if (exceeds()) await use.measuring;
    if (exceeds()) throw this.#exceeded(tenant);
  }

  /** Throws `STORE_FULL` if the disk has less than the reserve plus `more` bytes left, or too few inodes. */
  async #requireDisk(more: number): Promise<void> {
    if (this.#reserveBytes === 0) return;
    const disk = await statfs(this.#root).catch((error: unknown) => {
      throw fileError('write', error);
    });
    requireSpace(disk, this.#reserveBytes, more);
  }

  #exceeded(tenant: string): MillraceError {
    return new MillraceError(
      'QUOTA_EXCEEDED',
      `tenant "${tenant}" would keep more than ${this.#tenantBytes} bytes of artifacts, of which each counts as ${spaceOf(0)} or more`,
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

/** Throws `STORE_FULL` if a disk has less than the reserve plus `more` bytes left, or too few inodes for a reserve of that size. */
export function requireSpace(
  { bavail, blocks, bsize, ffree, files }: Pick<StatsFs, 'bavail' | 'blocks' | 'bsize' | 'ffree' | 'files'>,
  reserveBytes: number,
  more: number,
): void {
  const free = bavail * bsize;
  if (free < reserveBytes + more) throw full(`${free} bytes`, reserveBytes);
  // Some file systems have no fixed number of inodes: they say 0.
  const reserved = Math.ceil(((RESERVED_INODES * reserveBytes) / (blocks * bsize)) * files);
  if (files > 0 && ffree < reserved) throw full(`${ffree} inodes`, reserved);
}

function full(left: string, reserved: number): MillraceError {
  const message = `the disk of the artifact store has ${left} left, of which ${reserved} are reserved; remove artifacts or enlarge the disk`;
  return new MillraceError('STORE_FULL', message);
}

/** The space that the files below a folder take, in bytes, as it is counted; 0 if it does not exist. */
async function bytesIn(folder: string): Promise<number> {
  let bytes = 0;
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) {
    const at = path.join(folder, entry.name);
    if (entry.isDirectory()) bytes += await bytesIn(at);
    else {
      const found = await stat(at).catch(() => undefined);
      // A file removed during the measurement counts 0.
      if (found) bytes += Math.max(found.size, LEAST_BYTES);
    }
  }
  return bytes;
}
