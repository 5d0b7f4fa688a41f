import { sha256Hex } from '../../pipelines/plan/hash.js';
import { keySegment } from '../../stores/redis/index.js';

/** Incremented when the meaning of stored data changes; indexes of another format are not found. */
const FORMAT = 2;

/** The name of an index. */
export interface IndexName {
  readonly tenant: string;
  readonly index: string;
}

/** Redis keys of one index. */
export interface IndexKeys {
  /** Hash: the properties that the index was created with. */
  readonly meta: string;
  /** Hash of the tenant: the size of each of its indexes, `<passages> <bytes>` by the index's segment. */
  readonly use: string;
  /** Hash of the tenant: a number that every change of an index raises, by the index's segment. */
  readonly writes: string;
  /** The index's field in `use` and `writes`. */
  readonly segment: string;
  /** Keys of the data of one embedder. */
  of(fingerprint: string): PassageKeys;
}

export interface PassageKeys {
  /** Vector set of passages' ids. */
  readonly vectors: string;
  /** Hash of the passages' JSON by id. */
  readonly passages: string;
}

/**
 * Tenant and index are in clear in the key, so that no hash collision joins two of them and an operator can find or
 * delete their data. The braces put all data of a tenant into one slot of a Redis Cluster: the script that writes
 * passages also updates the tenant's quota. Keys of vectors and passages contain the embedder's fingerprint, so that
 * data of two embedders never mix.
 */
export function keysOf({ tenant, index }: IndexName): IndexKeys {
  const ofTenant = `millrace:index:{${keySegment(tenant)}}:${FORMAT}`;
  const own = keySegment(index);
  const prefix = `${ofTenant}:${own}`;
  return {
    meta: `${prefix}:meta`,
    use: `${ofTenant}::use`,
    writes: `${ofTenant}::writes`,
    segment: own,
    of(fingerprint) {
      const print = sha256Hex(fingerprint).slice(0, FINGERPRINT_DIGITS);
      return { vectors: `${prefix}:vectors:${print}`, passages: `${prefix}:passages:${print}` };
    },
  };
}

/** 64 bits distinguish the embedders of an index; the meta hash has the whole fingerprint. */
const FINGERPRINT_DIGITS = 16;
