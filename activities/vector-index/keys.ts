import { sha256Hex } from '../../pipelines/plan/hash.js';
import { keySegment } from '../../stores/redis/index.js';

/** Raised when the meaning of what is stored changes; an index of another format is then not found. */
const FORMAT = 2;

/** An index as its user names it. */
export interface IndexName {
  readonly tenant: string;
  readonly index: string;
}

/** Redis keys of one index. */
export interface IndexKeys {
  /** Hash: what the index was made with. */
  readonly meta: string;
  /** Hash of the tenant: what each of its indices holds, `<passages> <bytes>` by the index's segment. */
  readonly use: string;
  /** The index's field in `use`. */
  readonly segment: string;
  /** Keys of what one embedder made. */
  of(fingerprint: string): PassageKeys;
}

export interface PassageKeys {
  /** Vector set: passages' ids. */
  readonly vectors: string;
  /** Hash: id to the passage's JSON. */
  readonly passages: string;
}

/**
 * The tenant and the index stand in the key in clear, so that no hash collision joins two of them and an operator can find
 * or delete what is theirs. The braces put all of a tenant into one slot of a Redis Cluster: a script that writes passages
 * also counts them against the tenant's quota. Vectors and passages have the embedder's fingerprint in their key: those of
 * two embedders never meet, whatever else goes wrong.
 */
export function keysOf({ tenant, index }: IndexName): IndexKeys {
  const ofTenant = `millrace:index:{${keySegment(tenant)}}:${FORMAT}`;
  const own = keySegment(index);
  const prefix = `${ofTenant}:${own}`;
  return {
    meta: `${prefix}:meta`,
    use: `${ofTenant}::use`,
    segment: own,
    of(fingerprint) {
      const print = sha256Hex(fingerprint).slice(0, FINGERPRINT_DIGITS);
      return { vectors: `${prefix}:vectors:${print}`, passages: `${prefix}:passages:${print}` };
    },
  };
}

/** 64 bits tell apart as many embedders as one index will ever see; the meta hash holds the whole fingerprint. */
const FINGERPRINT_DIGITS = 16;
