import type { Redis } from 'ioredis';
import { cachePrefix, keySegment, script } from '../../stores/redis/index.js';
import { chunks } from './chunks.js';

/**
 * What the cached answers of a tenant take, and which of them are worth least. The value of an answer is
 * `clock + uses × cost / bytes`: the time that it saves, how often it has been used, and its size; `clock` is the value of
 * the last one evicted, so that answers which were once used much age (GreedyDual-Size with frequency: Cherkasova,
 * "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy", HPL-98-69, 1998).
 *
 * Members are named in 65 characters: partition and id. The ledger has no time to live: a store that evicts only keys with
 * one keeps it. A store that evicts any key may take a part of it. If it or a part is lost, counting starts anew, and the
 * answers that it had counted end by their own time to live.
 */
const KEYS = ['value', 'until', 'of', 'sum'] as const;
type Keys = [value: string, until: string, of: string, sum: string];

/** Answers counted or removed by one script: a millisecond of Redis' time. */
const MOST_AT_ONCE = 64;

/** Before anything is changed: of a ledger that has lost a part, the others name bytes and answers that nothing removes. */
const LOST = `
local function forget()
  redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
  redis.call('HDEL', KEYS[4], 'bytes')
end
if redis.call('EXISTS', KEYS[1], KEYS[2], KEYS[3]) < 3 or redis.call('HEXISTS', KEYS[4], 'bytes') == 0 then forget() end`;

const DROP = `
local now = redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000)
local gone, freed = {}, 0
local function drop(member)
  local bytes = string.match(redis.call('HGET', KEYS[3], member) or '0', '^%d+')
  redis.call('ZREM', KEYS[1], member)
  redis.call('ZREM', KEYS[2], member)
  redis.call('HDEL', KEYS[3], member)
  redis.call('HINCRBY', KEYS[4], 'bytes', 0 - bytes)
  gone[#gone + 1] = member
  freed = freed + bytes
end
local most = ${MOST_AT_ONCE}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, most)) do drop(member) end
-- The store has given the memory of these back by itself.
freed = 0`;

const EVICT = `
local evicted = 0
while #gone < 2 * most do
  local total = tonumber(redis.call('HGET', KEYS[4], 'bytes') or '0')
  if total <= budget then break end
  local least = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
  if #least == 0 then
    forget()
    break
  end
  -- The removal first: a store that is full permits others then.
  drop(least[1])
  redis.call('HSET', KEYS[4], 'clock', least[2])
  evicted = evicted + 1
end
if evicted > 0 then redis.call('HINCRBY', KEYS[4], 'evicted', evicted) end
return { redis.call('HGET', KEYS[4], 'bytes') or '0', gone, freed }`;

/** `freed`: bytes of what was evicted, without what had expired. */
type Reply = [bytes: string, gone: string[], freed: number];

type Admitted = [cost: number, ttlMs: number, budget: number, ...membersAndBytes: (string | number)[]];

/** An answer's earlier copy may have expired. It is not removed as such: the new one has been stored under its key. */
const admit = script<Keys, Admitted, Reply>(`${LOST}
for i = 4, #ARGV, 2 do redis.call('ZREM', KEYS[2], ARGV[i]) end
${DROP}
local cost = tonumber(ARGV[1])
local budget = tonumber(ARGV[3])
local clock = tonumber(redis.call('HGET', KEYS[4], 'clock') or '0')
for i = 4, #ARGV, 2 do
  local member, bytes, uses = ARGV[i], tonumber(ARGV[i + 1]), 1
  local old = redis.call('HGET', KEYS[3], member)
  if old then
    local held, _, before = string.match(old, '^(%d+) (%d+) (%d+)')
    redis.call('HINCRBY', KEYS[4], 'bytes', -held)
    uses = tonumber(before)
  end
  redis.call('HSET', KEYS[3], member, ARGV[i + 1] .. ' ' .. ARGV[1] .. ' ' .. uses)
  redis.call('HINCRBY', KEYS[4], 'bytes', bytes)
  redis.call('ZADD', KEYS[1], clock + uses * cost / bytes, member)
  redis.call('ZADD', KEYS[2], now + ARGV[2], member)
end
${EVICT}`);

const shrink = script<Keys, [bytes: number], Reply>(`${LOST}
${DROP}
local budget = tonumber(redis.call('HGET', KEYS[4], 'bytes') or '0') - tonumber(ARGV[1])
${EVICT}`);

const use = script<Keys, string[], number>(`
local clock = tonumber(redis.call('HGET', KEYS[4], 'clock') or '0')
for _, member in ipairs(ARGV) do
  local bytes, cost, uses = string.match(redis.call('HGET', KEYS[3], member) or '', '^(%d+) (%d+) (%d+)')
  if bytes then
    redis.call('HSET', KEYS[3], member, bytes .. ' ' .. cost .. ' ' .. (uses + 1))
    redis.call('ZADD', KEYS[1], 'XX', clock + (uses + 1) * cost / bytes, member)
    redis.call('HINCRBY', KEYS[4], 'hits', 1)
    redis.call('HINCRBY', KEYS[4], 'savedMs', cost)
  end
end
return 1`);

/** Tenants by the bytes that their caches take. */
const TENANTS = 'millrace:cache-tenants';
/** Share of the store's memory above which answers are evicted before the store does it, whole keys at random. */
const FULL = 0.9;
/** How long the store's memory is taken for known, in milliseconds, and for which share of it to be stored meanwhile. */
const MEMORY_MS = 1_000;
const KNOWN = 0.02;
/** Bytes of keys, ledger and index beside an answer's own. */
const OVERHEAD = 700;
/** One insert in so many also removes what has expired of another tenant. */
const SWEEP = 32;

/** An answer, as the ledger counts it. */
export interface Counted {
  readonly tenant: string;
  readonly partition: string;
  readonly id: string;
}

/** An answer and its bytes, with its vector. */
export interface Sized extends Counted {
  readonly bytes: number;
}

/** Bytes that the store has room for, less those that were stored since it was asked. Below 0: they are still to be removed. */
interface Room {
  bytes: number;
  /** Bytes to be stored before it is asked again: it rounds sizes up, which is not counted here. */
  known: number;
}

interface Held {
  readonly entries: number;
  readonly bytes: number;
  readonly evicted: number;
  readonly hits: number;
  /** Time that calls would have taken, in milliseconds. */
  readonly savedMs: number;
}

/** One budget for all cached answers of a tenant. Every call rejects if Redis does not respond. */
export class Budget {
  readonly #redis: Redis;
  readonly #bytes: number;
  readonly #random: () => number;
  #memory: { readonly room: Promise<Room>; readonly until: number } | undefined;

  /** @param bytes that a tenant's answers may take; 0: no limit but the store's */
  constructor(redis: Redis, bytes: number, random = Math.random) {
    this.#redis = redis;
    this.#bytes = bytes;
    this.#random = random;
  }

  /**
   * Before so many bytes are stored: while the store is full, the tenant that takes most gives up what is worth least to
   * it, in all no more than the store has too much. Workers do not know what others store and remove within a second. Never
   * throws.
   */
  async makeRoom(bytes: number): Promise<void> {
    if (!this.#memory || performance.now() >= this.#memory.until)
      this.#memory = { room: this.#room(), until: performance.now() + MEMORY_MS };
    const memory = this.#memory;
    try {
      const room = await memory.room;
      room.bytes -= bytes + OVERHEAD;
      room.known -= bytes + OVERHEAD;
      if (room.known < 0 && this.#memory === memory) this.#memory = undefined;
      if (room.bytes >= 0) return;
      const share = Math.min(-room.bytes, Math.max(LEAST_RELIEF, 2 * bytes));
      // Others that come meanwhile need not remove it too.
      room.bytes += share;
      room.bytes -= share - (await this.#relieved(share));
    } catch {
      // Without room the store refuses, or evicts by itself.
    }
  }

  /** Removes so many bytes of the tenant that takes most; returns how many there were. */
  async #relieved(bytes: number): Promise<number> {
    const [tenant] = await this.#redis.zrevrange(TENANTS, 0, 0);
    if (tenant === undefined) return 0;
    let left = bytes;
    for (let some = true; left > 0 && some; ) {
      const reply = await shrink(this.#redis, keysFor(tenant), left);
      const [, gone, freed] = reply;
      // Of a call that has found nothing but expired answers the next one goes on.
      some = gone.length > 0;
      left -= freed;
      await this.#removed(tenant, reply);
    }
    return bytes - left;
  }

  /**
   * Counts a stored answer and removes what has expired or is worth least, the answer itself if that is. Awaited only before
   * a vector is added: an answer that the ledger misses ends by its own time to live. One that another worker stores while its
   * earlier copy is being removed is lost, and the next call misses: ledger and answers are in different slots of a cluster.
   *
   * @param bytes of the answer with its vector
   * @param costMs time of the call that it saves
   * @returns false if it is worth least itself and has been removed
   */
  async stored(answer: Counted, bytes: number, costMs: number, ttlMs: number): Promise<boolean> {
    return (await this.storedAll([{ ...answer, bytes }], costMs, ttlMs)) === 1;
  }

  /** The same for answers of one tenant that have been stored together; returns how many are left of them. */
  async storedAll(answers: readonly Sized[], costMs: number, ttlMs: number): Promise<number> {
    let left = answers.length;
    const most = this.#bytes > 0 ? this.#bytes : Number.MAX_SAFE_INTEGER;
    const cost = Math.max(1, Math.round(costMs));
    for (const some of chunks(answers, MOST_AT_ONCE)) {
      const { tenant } = some[0] as Sized;
      const sizes = some.map(({ bytes }) => Math.ceil(bytes) + OVERHEAD);
      const sized = some.flatMap((answer, i) => [memberOf(answer), sizes[i] as number]);
      const reply = await admit(this.#redis, keysFor(tenant), cost, ttlMs, most, ...sized);
      await this.#removed(tenant, reply);
      left -= reply[1].filter((member) => sized.includes(member)).length;
      if (this.#random() < 1 / SWEEP) await this.#sweep().catch(() => undefined);
    }
    return left;
  }

  /** Counts hits, of one tenant: their answers are worth more. */
  async used(...answers: readonly Counted[]): Promise<void> {
    for (const some of chunks(answers, MOST_AT_ONCE))
      await use(this.#redis, keysFor((some[0] as Counted).tenant), ...some.map(memberOf));
  }

  async held(tenant: string): Promise<Held> {
    const [value, , , sum] = keysFor(tenant);
    const [entries, counts] = await Promise.all([this.#redis.zcard(value), this.#redis.hgetall(sum)]);
    const number = (field: string) => Number(counts[field] ?? 0);
    return {
      entries,
      bytes: number('bytes'),
      evicted: number('evicted'),
      hits: number('hits'),
      savedMs: number('savedMs'),
    };
  }

  /** Forgets what a tenant has stored and used: it has been removed. */
  async forget(tenant: string): Promise<void> {
    await this.#redis.unlink(...keysFor(tenant));
    await this.#redis.zrem(TENANTS, tenant);
  }

  async #sweep(): Promise<void> {
    const tenant = await this.#redis.zrandmember(TENANTS);
    if (typeof tenant === 'string') await this.#removed(tenant, await shrink(this.#redis, keysFor(tenant), 0));
  }

  async #removed(tenant: string, [bytes, gone]: Reply): Promise<void> {
    const pipeline = this.#redis.pipeline();
    if (Number(bytes) > 0) pipeline.zadd(TENANTS, bytes, tenant);
    else pipeline.zrem(TENANTS, tenant);
    for (const member of gone) {
      const [partition, id] = partsOf(member);
      const prefix = cachePrefix(tenant, partition);
      pipeline.unlink(`${prefix}:entry:${id}`, `${prefix}:vector:${id}`);
      pipeline.call('VREM', `${prefix}:vectors`, id);
    }
    // A store without vector sets rejects VREM; the answers are gone all the same.
    await pipeline.exec();
  }

  async #room(): Promise<Room> {
    const info = await this.#redis.info('memory');
    const field = (name: string) => Number(new RegExp(`^${name}:(\\d+)`, 'm').exec(info)?.[1] ?? 0);
    const most = field('maxmemory');
    if (most === 0) return { bytes: Number.POSITIVE_INFINITY, known: Number.POSITIVE_INFINITY };
    return { bytes: Math.floor(FULL * most) - field('used_memory'), known: KNOWN * most };
  }
}

/** Bytes removed before an insert at least, while the store is full. */
const LEAST_RELIEF = 256 * 1024;

const keysFor = (tenant: string): Keys =>
  KEYS.map((name) => `millrace:cache-budget:{${keySegment(tenant)}}:${name}`) as Keys;

const memberOf = ({ partition, id }: Counted): string =>
  `${Buffer.from(partition, 'hex').toString('base64url')}.${Buffer.from(id, 'hex').toString('base64url')}`;

const partsOf = (member: string): readonly [partition: string, id: string] => {
  const [partition = '', id = ''] = member.split('.');
  return [Buffer.from(partition, 'base64url').toString('hex'), Buffer.from(id, 'base64url').toString('hex')];
};
