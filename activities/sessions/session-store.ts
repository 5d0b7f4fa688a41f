import type { Redis } from 'ioredis';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { sha256Hex } from '../../pipelines/plan/hash.js';
import type { AgentMessage } from '../../pipelines/plan/index.js';
import { isFull } from '../redis/index.js';

/** Raised when the meaning of what is stored changes; a session of another format is then a new one. */
const FORMAT = 2;

/** A conversation as its user names it. */
export interface SessionName {
  readonly tenant: string;
  /** The pipeline and the owner that it belongs to. */
  readonly of: string;
  readonly session: string;
}

/** A conversation so far: what is told in short, then what was said since. */
export interface Session {
  readonly summary?: string;
  readonly messages: readonly AgentMessage[];
  /** How many runs' parts have ever been in it: what `upTo` of a summary counts in. */
  readonly parts: number;
}

export interface SessionPart {
  /** The same in every attempt: a part is written once. */
  readonly key: string;
  readonly messages: readonly AgentMessage[];
  readonly ttlMs: number;
  /** Stands from now on for the first `upTo` parts. */
  readonly summary?: { readonly text: string; readonly upTo: number };
}

/**
 * Conversations in Redis, by tenant, pipeline and owner: a list with a part for each run, and a hash with the summary and the number of parts
 * that it stands for. Every write is one script: two runs of one session at once lose nothing, and a summary drops only what
 * its writer has read.
 */
export class SessionStore {
  readonly #redis: Redis;

  constructor(redis: Redis) {
    this.#redis = redis;
  }

  /** Throws `STORE_UNAVAILABLE`. */
  async load(name: SessionName): Promise<Session> {
    const [parts, about] = placesOf(name);
    const [all, [summary, dropped]] = (await reached(() => this.#redis.eval(LOAD, 2, parts, about))) as [
      string[],
      [string | null, string | null],
    ];
    const read = all.map((text) => JSON.parse(text) as { messages: AgentMessage[] });
    return {
      ...(summary !== null && { summary }),
      messages: read.flatMap(({ messages }) => messages),
      parts: Number(dropped ?? 0) + all.length,
    };
  }

  /** Adds a part, once. Throws `STORE_UNAVAILABLE` and `STATE_STORE_FULL`. */
  async add(name: SessionName, { key, messages, ttlMs, summary }: SessionPart): Promise<void> {
    const [parts, about] = placesOf(name);
    const part = JSON.stringify({ key, messages });
    const short = summary ? [summary.text, summary.upTo] : ['', 0];
    await reached(() => this.#redis.eval(ADD, 2, parts, about, key, part, ttlMs, ...short));
  }
}

const LOAD = "return {redis.call('LRANGE', KEYS[1], 0, -1), redis.call('HMGET', KEYS[2], 'summary', 'dropped')}";

/** A part that is there already is the one of an attempt whose worker died behind it. */
const ADD = `
for _, text in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  if cjson.decode(text).key == ARGV[1] then return 0 end
end
if redis.call('HGET', KEYS[2], 'last') == ARGV[1] then return 0 end
redis.call('RPUSH', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'last', ARGV[1])
local dropped = tonumber(redis.call('HGET', KEYS[2], 'dropped') or '0')
local upTo = tonumber(ARGV[5])
if upTo > dropped then
  redis.call('LTRIM', KEYS[1], upTo - dropped, -1)
  redis.call('HSET', KEYS[2], 'summary', ARGV[4], 'dropped', upTo)
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return 1
`;

const PLAIN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** `~` never starts a plain name, so a hashed one cannot be mistaken for it. */
const segment = (name: string): string => (PLAIN.test(name) ? name : `~${sha256Hex(name)}`);

/** The braces make a session one slot of a Redis Cluster, which a script needs. */
function placesOf({ tenant, of, session }: SessionName): readonly [parts: string, about: string] {
  const prefix = `millrace:session:{${segment(tenant)}:${segment(of)}:${segment(session)}}:${FORMAT}`;
  return [`${prefix}:parts`, `${prefix}:about`];
}

async function reached<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const [code, what] = isFull(error)
      ? (['STATE_STORE_FULL', 'is full'] as const)
      : (['STORE_UNAVAILABLE', 'failed'] as const);
    throw new MillraceError(code, `the Redis of the sessions ${what}: ${messageOf(error)}`, {}, { cause: error });
  }
}
