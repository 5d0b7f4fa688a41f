import { script } from '../redis/index.js';

/**
 * How a record stands to who writes to it. `taken`: another worker has it. `revoked`: its run has not started. `gone`: it is
 * missing, or has lost writes, and could not be restored: Redis has lost memory.
 */
export type Standing = 'held' | 'taken' | 'revoked' | 'gone';

/** What Redis says of a record; `stale`: writes are missing. */
type Reply = Standing | 'stale';

type Key = readonly [record: string];

/** Fields that are no call's. */
const OWNER = '@owner';
/** The end of the owner's lease, on Redis' clock. */
const LEASE = '@lease';
/** How many writes the owner has made: a record that has lost the last ones is told by it. */
const SEQ = '@seq';

/** When the owner was asked for it. */
const ASKED = '@asked';

/** Owner of a record that nobody may take yet: where it was missing, a fast host that lives restores it within this lease. */
const NOBODY = '?';
/** Owner of a record of a run that has not started: whoever holds it ends, and nobody begins it. */
const REVOKED = '-';

const NOW = `local t = redis.call('time')
local now = t[1] * 1000 + math.floor(t[2] / 1000)`;

/** Ends the script unless the record is the owner's and has all of its writes. ARGV: owner, writes. */
const HELD = `local owner = redis.call('hget', KEYS[1], '${OWNER}')
if not owner or owner == '${NOBODY}' then return 'gone' end
if owner == '${REVOKED}' then return 'revoked' end
if owner ~= ARGV[1] then return 'taken' end
if (redis.call('hget', KEYS[1], '${SEQ}') or '0') ~= ARGV[2] then return 'stale' end`;

/** Fields from ARGV[6] on, each with its value; an empty one removes it. */
const SET = `for i = 6, #ARGV, 2 do
  if ARGV[i + 1] == '' then redis.call('hdel', KEYS[1], ARGV[i])
  else redis.call('hset', KEYS[1], ARGV[i], ARGV[i + 1]) end
end`;

/**
 * Arguments in their order are ARGV: `missingMs` says how long a missing record is not taken, `longestMs` the longest lease there
 * is, `askedAt` when the owner was asked for it, or 0. Gives the milliseconds for which another holds the record, or -1 where the other was asked later; or whether a lease has run out, and
 * all fields. A lease that ends later than any can is one of a clock that has gone back.
 */
export const take = script<
  Key,
  [owner: string, ttlMs: number, missingMs: number, longestMs: number, askedAt: number],
  number | readonly [ranOut: 0 | 1, fields: string[]]
>(`${NOW}
local owner = redis.call('hget', KEYS[1], '${OWNER}')
if not owner and ARGV[3] ~= '0' then
  redis.call('hset', KEYS[1], '${OWNER}', '${NOBODY}', '${LEASE}', now + ARGV[3])
  redis.call('pexpire', KEYS[1], ARGV[2])
  return tonumber(ARGV[3])
end
if tonumber(ARGV[5]) < tonumber(redis.call('hget', KEYS[1], '${ASKED}') or 0) then return -1 end
local lease = redis.call('hget', KEYS[1], '${LEASE}')
local ranOut = 0
if lease then
  local left = tonumber(lease) - now
  if left > tonumber(ARGV[4]) then
    left = tonumber(ARGV[4])
    redis.call('hset', KEYS[1], '${LEASE}', now + left)
  end
  if left > 0 then return left end
  redis.call('hdel', KEYS[1], '${LEASE}')
  ranOut = 1
end
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${SEQ}', 0, '${ASKED}', ARGV[5])
redis.call('pexpire', KEYS[1], ARGV[2])
return {ranOut, redis.call('hgetall', KEYS[1])}`);

/** A record that anybody has is left as it is. */
export const begin = script<Key, [owner: string, ttlMs: number, leaseMs: number], 0 | 1>(`
if redis.call('exists', KEYS[1]) == 1 then return 0 end
${NOW}
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${LEASE}', now + ARGV[3])
redis.call('pexpire', KEYS[1], ARGV[2])
return 1`);

/** `before`: the writes before this one, `writes`: those with it. A time of 0 is not set. */
export const write = script<
  Key,
  [owner: string, before: number, writes: number, ttlMs: number, leaseMs: number, ...fields: string[]],
  Reply
>(`${HELD}
if ARGV[4] ~= '0' then redis.call('pexpire', KEYS[1], ARGV[4]) end
if ARGV[5] ~= '0' then
  ${NOW}
  redis.call('hset', KEYS[1], '${LEASE}', now + ARGV[5])
end
redis.call('hset', KEYS[1], '${SEQ}', ARGV[3])
${SET}
return 'held'`);

/** The record as its owner knows it, unless it is another's. */
export const restore = script<
  Key,
  [owner: string, writes: number, ttlMs: number, leaseMs: number, nothing: '', ...fields: string[]],
  Standing
>(`
local owner = redis.call('hget', KEYS[1], '${OWNER}')
if owner == '${REVOKED}' then return 'revoked' end
if owner and owner ~= '${NOBODY}' and owner ~= ARGV[1] then return 'taken' end
${NOW}
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${SEQ}', ARGV[2], '${LEASE}', now + ARGV[4])
redis.call('pexpire', KEYS[1], ARGV[3])
${SET}
return 'held'`);

/** Tells nothing where `channel` is empty. Gives how many have heard the message. */
export const release = script<
  Key,
  [owner: string, writes: number, channel: string, message: string],
  number | Exclude<Reply, 'held'>
>(`${HELD}
redis.call('hdel', KEYS[1], '${LEASE}')
if ARGV[3] == '' then return 0 end
return redis.call('publish', ARGV[3], ARGV[4])`);

export const keepFor = script<Key, [owner: string, ttlMs: number], void>(`
if redis.call('hget', KEYS[1], '${OWNER}') == ARGV[1] then redis.call('pexpire', KEYS[1], ARGV[2]) end`);

/** `ttlMs`: of a record that is not there yet. The lease stays: what runs under it has ended when it has run out. */
export const revoke = script<Key, [ttlMs: number], void>(`
local there = redis.call('exists', KEYS[1])
redis.call('hset', KEYS[1], '${OWNER}', '${REVOKED}')
if there == 0 then redis.call('pexpire', KEYS[1], ARGV[1]) end`);
