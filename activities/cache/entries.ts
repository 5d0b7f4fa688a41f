import type { Redis } from 'ioredis';
import { type ErrorCode, isErrorCode } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { script } from '../../stores/redis/index.js';
import type { CacheKeys } from './cache-key.js';

/** An answer to a text. */
export interface Entry {
  /** The key text that the answer was given for, as asked. */
  readonly text: string;
  readonly output: JsonObject;
  /**
   * Id of the text that the model was asked, if it was another: this text shares its answer, and loses it with it. Texts
   * are compared only with the text that the model was asked: meanings would drift from one to the next.
   */
  readonly of?: string;
  /** How the text was matched to the one that the model was asked. */
  readonly match?: Match;
  /** Of an exact cache: the call failed, and will fail again. The output is then empty. */
  readonly failure?: Failure;
}

/** A failure that the same input causes again. */
export interface Failure {
  readonly code: ErrorCode;
  readonly message: string;
  readonly fields?: Json;
  /** When the call failed, in milliseconds since 1970. Each stage states how long it serves a failure. */
  readonly at: number;
}

/** How a text was matched to that of an answer. */
export interface Match {
  readonly similarity: number;
}

/** As stored: an answer, or the id of the text that has it. */
export type Stored = { readonly text: string } & (
  | { readonly failure: Failure }
  | {
      readonly output: JsonObject;
      /** Key of the evidence that a report of a wrong hit counts in. */
      readonly judged?: string;
    }
  | { readonly of: string; readonly match?: Match }
);

/**
 * Largest answer that is cached, in characters of JSON: the cache is for answers that a person hears or reads, and must
 * not fill Redis.
 */
const MAX_ENTRY_CHARS = 256 * 1024;

/** Whether an answer is small enough to be stored. */
export const fits = (entry: Stored): boolean => JSON.stringify(entry).length <= MAX_ENTRY_CHARS;

/** An answer without any text, number or reference is an unreported failure. */
export function worthKeeping(output: JsonObject): boolean {
  if (typeof output.text === 'string' && output.text.trim() === '') return false;
  return Object.values(output).some((value) => {
    if (typeof value === 'string') return value.trim() !== '';
    return typeof value === 'object' ? value !== null && Object.keys(value).length > 0 : true;
  });
}

/** What a claim finds: the answer, the lease, that another worker has it, or that the answer was made and not kept. */
export type Claimed = Entry | 'mine' | 'taken' | 'unkept';

/** Value of a lease whose call has ended with an answer that is not kept: others would wait for nothing, one after another. */
const UNKEPT = 'not kept';
/** How long it is there, in milliseconds: all that wait look several times a second. */
const UNKEPT_MS = 3_000;

/**
 * The lease identifies the worker that calls the model for a text; it expires unless its owner renews it. Each script
 * is atomic, so that no answer is missed between check and claim.
 */
const claim = script<[entry: string, lease: string], [owner: string, leaseMs: number], string | 0 | 1 | 2>(`
local entry = redis.call('GET', KEYS[1])
if entry then return entry end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
if redis.call('GET', KEYS[2]) == '${UNKEPT}' then return 2 end
return 0`);
const renew = script<[lease: string], [owner: string, leaseMs: number], 0 | 1>(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`);
const release = script<[lease: string], [owner: string], 0 | 1>(`
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0`);
const sendOff = script<[lease: string], [owner: string, ms: number], 0 | 1>(`
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], '${UNKEPT}', 'PX', ARGV[2])
return 1`);
const store = script<[entry: string, lease: string], [owner: string, value: string, ttlMs: number], 1>(`
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 1`);
const copy = script<[entry: string, lease: string, source: string], [owner: string, value: string], number>(`
local left = redis.call('PTTL', KEYS[3])
if left > 0 then redis.call('SET', KEYS[1], ARGV[2], 'PX', left) end
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return left`);

/** Answers and leases in Redis. Every call rejects if Redis does not respond. */
export class Entries {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** The answers to several texts of a partition, `undefined` for expired ones. */
  async read(at: CacheKeys, ids: readonly string[]): Promise<(Entry | undefined)[]> {
    if (ids.length === 0) return [];
    const stored = (await this.#redis.mget(...ids.map((id) => at.entryOf(id)))).map(parse);
    return Promise.all(stored.map(async (each) => each && (await this.#whole(at, each))));
  }

  /** The answer if it exists, else the lease if it is free. */
  async claim(at: CacheKeys, owner: string, leaseMs: number): Promise<Claimed> {
    const reply = await claim(this.#redis, [at.entry, at.lease], owner, leaseMs);
    if (reply === 1) return 'mine';
    if (reply === 0) return 'taken';
    if (reply === 2) return 'unkept';
    const stored = parse(reply);
    const entry = stored && (await this.#whole(at, stored));
    if (entry) return entry;
    // Not in this format, or what it points to is gone: removed, so that the next claim can take the lease.
    await this.#redis.del(at.entry);
    return 'taken';
  }

  /** The answer that a stored entry has or points to. */
  async #whole(at: CacheKeys, stored: Stored): Promise<Entry | undefined> {
    if ('output' in stored) return stored;
    if ('failure' in stored) return { ...stored, output: {} };
    const source = parse(await this.#redis.get(at.entryOf(stored.of)));
    if (!source || !('output' in source)) return undefined;
    return { ...stored, output: source.output };
  }

  async drop(at: CacheKeys): Promise<void> {
    await this.#redis.del(at.entry);
  }

  /** False if another worker owns the lease. */
  async renew(at: CacheKeys, owner: string, leaseMs: number): Promise<boolean> {
    return (await renew(this.#redis, [at.lease], owner, leaseMs)) === 1;
  }

  async release(at: CacheKeys, owner: string): Promise<void> {
    await release(this.#redis, [at.lease], owner);
  }

  /** In place of the lease: the answer is not kept, and whoever waits for it may make the call at once. */
  async sendOff(at: CacheKeys, owner: string): Promise<void> {
    await sendOff(this.#redis, [at.lease], owner, UNKEPT_MS);
  }

  /** Stores an answer that `fits` and releases its lease atomically. */
  async store(at: CacheKeys, owner: string, entry: Stored, ttlMs: number): Promise<void> {
    await store(this.#redis, [at.entry, at.lease], owner, JSON.stringify(entry), ttlMs);
  }

  /**
   * Serves the answer of the text `source` for this text too, for as long as that one exists, and releases the lease.
   */
  async copy(at: CacheKeys, owner: string, text: string, source: string, match: Match): Promise<void> {
    const value = JSON.stringify({ text, of: source, match });
    await copy(this.#redis, [at.entry, at.lease, at.entryOf(source)], owner, value);
  }

  /** Ids of texts, the longest unused first: those without an answer, then by the time since their last reading. */
  async leastUsed(at: CacheKeys, ids: readonly string[]): Promise<string[]> {
    const pipeline = this.#redis.pipeline();
    for (const id of ids) pipeline.object('IDLETIME', at.entryOf(id));
    const idle = (await pipeline.exec()) ?? [];
    // A server that counts frequencies instead does not say: then the order is that of the sample, which is random.
    const age = (i: number) =>
      idle[i]?.[0] || idle[i]?.[1] === null ? Number.POSITIVE_INFINITY : Number(idle[i]?.[1]);
    return ids
      .map((id, i) => ({ id, age: age(i) }))
      .sort((a, b) => (a.age === b.age ? 0 : b.age - a.age))
      .map(({ id }) => id);
  }

  /** Whether this is the first mark of a key within its time to live. */
  async mark(key: string, ttlMs: number): Promise<boolean> {
    return (await this.#redis.set(key, '1', 'PX', ttlMs, 'NX')) === 'OK';
  }
}

function failureOf({ code, message, fields, at }: JsonObject): { readonly failure: Failure } | undefined {
  // Of an earlier release, which wrote no time, or a later one, which has codes of its own.
  if (!isErrorCode(code) || typeof at !== 'number') return undefined;
  return { failure: { code, message: String(message), at, ...(fields !== undefined && { fields }) } };
}

function parse(value: unknown): Stored | undefined {
  if (typeof value !== 'string') return undefined;
  try {
    const entry: unknown = JSON.parse(value);
    if (!isJsonObject(entry) || typeof entry.text !== 'string') return undefined;
    if (isJsonObject(entry.output)) return { text: entry.text, output: entry.output };
    const failed = isJsonObject(entry.failure) ? failureOf(entry.failure) : undefined;
    if (failed) return { text: entry.text, ...failed };
    if (typeof entry.of !== 'string') return undefined;
    const similarity = isJsonObject(entry.match) ? Number(entry.match.similarity) : Number.NaN;
    return { text: entry.text, of: entry.of, ...(Number.isFinite(similarity) && { match: { similarity } }) };
  } catch {
    return undefined;
  }
}
