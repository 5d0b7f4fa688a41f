import type { Redis } from 'ioredis';
import type { Artifact } from '../../pipelines/artifact.js';
import { messageOf } from '../../pipelines/errors.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import { jsonHash, sha256Hex } from '../../pipelines/plan/hash.js';
import { keySegment } from '../../stores/redis/index.js';
import type { Logger } from '../../telemetry/logger.js';
import { RationedWarnings } from '../../telemetry/warnings.js';
import { Allowance, type AllowanceLimits } from './allowance.js';
import type { Budget, Counted } from './budget.js';
import { contentOf, servedFor } from './cache-key.js';
import { chunks } from './chunks.js';
import type { Embedder } from './embedder.js';
import { dayEndOf, ttlOf } from './freshness.js';

/** What vectors depend on beside what they are of. */
export interface VectorSpace {
  readonly tenant: string;
  /** Identity of the model, including its weights if known: other weights or dimensions are another space. */
  readonly model: string;
  /** Options of the call. */
  readonly with?: JsonObject;
  /** Whose vectors they are within the tenant. Absent: all callers of the tenant share them. */
  readonly principal?: string | undefined;
  /** Who stores vectors, for the allowance of each caller. */
  readonly insertedBy?: string | undefined;
  readonly ttlMs: number;
  /** They end with the day in this time zone. */
  readonly untilMidnight?: string | undefined;
  readonly version?: string | undefined;
}

/** What a vector is of: a text, or a medium by its content. */
export type Embedded = string | { readonly kind: string; readonly artifact: Artifact };

/** The name of what is embedded, in the keys of a space. */
export const embeddedId = (of: Embedded): string =>
  typeof of === 'string'
    ? sha256Hex(of).slice(0, ID_LENGTH)
    : `${of.kind}-${jsonHash(contentOf(of.artifact as unknown as Json)).slice(0, ID_LENGTH)}`;
const ID_LENGTH = 32;

/** Incremented when the meaning of stored data changes; older entries expire unread. */
const FORMAT = 1;

/** Vectors read or written in one request: 2,048 of 384 dimensions are 3 MB, 20 ms of Redis' time. */
const MOST_AT_ONCE = 256;

/**
 * Embeddings by what they are of, shared by all pipelines of a tenant. Fails open: without Redis everything is a miss.
 */
export class VectorCache {
  readonly #redis: Redis;
  readonly #warnings: RationedWarnings;
  readonly #budget: Budget;
  readonly #allowance: Allowance;

  constructor(redis: Redis, logger: Logger, budget: Budget, limits: AllowanceLimits = {}) {
    this.#redis = redis;
    this.#allowance = new Allowance(redis, limits);
    this.#budget = budget;
    this.#warnings = new RationedWarnings(logger);
  }

  /** The vectors that are there, in the order of what they are of. Undefined if the cache cannot be reached. */
  async read(space: VectorSpace, all: readonly Embedded[]): Promise<(number[] | undefined)[] | undefined> {
    try {
      const found: (number[] | undefined)[] = [];
      const placeOf = placesOf(space);
      for (const some of chunks(all, MOST_AT_ONCE)) {
        const places = some.map(placeOf);
        const stored = await this.#redis.mgetBuffer(...places.map(keyOf));
        this.#budget.used(...places.filter((_, i) => stored[i] !== null)).catch(() => undefined);
        found.push(...stored.map((bytes) => (bytes === null ? undefined : vectorIn(bytes))));
      }
      return found;
    } catch (error) {
      this.#warnings.warn('read', { error: messageOf(error) }, 'embedding cache bypassed');
      return undefined;
    }
  }

  /**
   * Never throws.
   *
   * @param costMs time that one of the vectors took
   * @param dayEnds when the day ends that their call began on, as `dayEndOf`
   */
  async write(
    space: VectorSpace,
    entries: readonly (readonly [of: Embedded, vector: readonly number[]])[],
    costMs: number,
    dayEnds = dayEndOf(space.untilMidnight),
  ): Promise<void> {
    try {
      const { tenant, insertedBy } = space;
      const placeOf = placesOf(space);
      for (const some of chunks(entries, MOST_AT_ONCE)) {
        const made = some.map(([of, vector]) => {
          const value = bytesOf(vector);
          return { ...placeOf(of), value, bytes: value.length };
        });
        const size = made.reduce((sum, { bytes }) => sum + bytes, 0);
        const exceeded = await this.#allowance.exceeded(tenant, insertedBy, size);
        if (exceeded !== undefined) {
          const message = `embeddings not cached: the ${exceeded} has used up its hourly allowance`;
          this.#warnings.warn('allowance', { tenant }, message);
          return;
        }
        await this.#budget.makeRoom(size);
        const ttlMs = ttlOf(space.ttlMs, dayEnds);
        if (ttlMs <= 0) return;
        const pipeline = this.#redis.pipeline();
        for (const each of made) pipeline.set(keyOf(each), each.value, 'PX', ttlMs);
        const results = (await pipeline.exec()) ?? [];
        // Of a store that is full some are refused.
        const stored = made.filter((_, i) => results[i]?.[0] === null);
        this.#budget.storedAll(stored, costMs, ttlMs).catch(() => undefined);
        for (const [error] of results) if (error) throw error;
      }
    } catch (error) {
      this.#warnings.warn('write', { error: messageOf(error) }, 'embeddings not cached');
    }
  }
}

/** Where vectors of a space are. */
function placesOf(space: VectorSpace): (of: Embedded) => Counted {
  const { tenant, model, with: options = {}, principal = null } = space;
  const partition = jsonHash({ vectors: FORMAT, tenant, model, with: options, principal, ...servedFor(space) });
  return (of) => ({ tenant, partition, id: embeddedId(of) });
}

const keyOf = ({ tenant, partition, id }: Counted): string =>
  `millrace:cache:{${keySegment(tenant)}:${partition}}:vector:${id}`;

const FLOAT32 = 4;
const FLOAT64 = 8;

/** Its width in a byte, then the numbers: of 32 bits where that loses nothing. */
function bytesOf(vector: readonly number[]): Buffer {
  const short = vector.every((value) => Math.fround(value) === value);
  const numbers = short ? Float32Array.from(vector) : Float64Array.from(vector);
  const bytes = Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength);
  return Buffer.concat([Buffer.of(short ? FLOAT32 : FLOAT64), bytes]);
}

function vectorIn(bytes: Buffer): number[] | undefined {
  const [width] = bytes;
  const size = bytes.length - 1;
  if ((width !== FLOAT32 && width !== FLOAT64) || size <= 0 || size % width !== 0) return undefined;
  // A typed array needs an aligned buffer of its own.
  const own = bytes.buffer.slice(bytes.byteOffset + 1, bytes.byteOffset + bytes.length) as ArrayBuffer;
  return Array.from(width === FLOAT32 ? new Float32Array(own) : new Float64Array(own));
}

/** How long a vector that Millrace itself asks for is kept, in milliseconds: a day, as other answers. */
const OWN_TTL_MS = 86_400_000;

/**
 * Asks the embedder only for texts whose vector the cache does not have.
 *
 * @param identityOf what its vectors depend on beside the text
 */
export const withVectorCache = (
  embedder: Embedder,
  cache: VectorCache,
  identityOf: (signal: AbortSignal) => Promise<string> = (signal) => embedder.fingerprint(signal),
): Embedder => ({
  fingerprint: (signal) => embedder.fingerprint(signal),
  async embed(text, signal, caller) {
    // A server that does not identify its model still embeds.
    const model = await identityOf(signal).catch(() => undefined);
    signal.throwIfAborted();
    if (model === undefined) return embedder.embed(text, signal, caller);
    // All callers of a tenant share the vectors; who stores one uses up the allowance, so that nobody fills what all share.
    const { tenant, insertedBy } = caller;
    const space = { tenant, insertedBy, model, ttlMs: OWN_TTL_MS };
    const [known] = (await cache.read(space, [text])) ?? [];
    signal.throwIfAborted();
    if (known) return Float32Array.from(known);
    const started = performance.now();
    const vector = await embedder.embed(text, signal, caller);
    await cache.write(space, [[text, Array.from(vector)]], performance.now() - started);
    return vector;
  },
});
