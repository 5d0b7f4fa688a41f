import { ifErasedSince, NOW, noteErasable, script } from '../redis/index.js';

/**
 * Whether the writer still owns the journal. `taken`: another worker owns it. `revoked`: its run has not started.
 * `gone`: Redis has lost data, and the journal is missing or incomplete and could not be restored.
 */
export type Standing = 'held' | 'taken' | 'revoked' | 'gone';

/** Redis' view of the journal; `stale`: writes are missing. */
type Reply = Standing | 'stale';

type Key = readonly [record: string];
/** With the set of what is to be erased with the run, and when the run was erased. */
type Keys = readonly [record: string, erasable: string, erased: string];

/** Fields that are not calls. */
const OWNER = '@owner';
/** End of the owner's lease, by Redis' clock. */
const LEASE = '@lease';
/** Number of the owner's writes, by which the loss of the latest ones is detected. */
const SEQ = '@seq';

/** When the owner's segment was scheduled. */
const ASKED = '@asked';
/**
 * Grows with each take, also over a loss of the journal, as Redis' clock does: of two owners that were scheduled at the same time the later one
 * has more.
 */
export const TAKES = '@takes';

/**
 * Owner of a journal that no worker may take yet: it was missing, and a live fast host restores it within this lease.
 */
const NOBODY = '?';
/** Owner of the journal of a run that has not started: its previous owner ends, and no worker begins it. */
const REVOKED = '-';

/** Ends the script unless ARGV[1] owns the journal and ARGV[2], its number of writes, is current. */
const HELD = `local owner = redis.call('hget', KEYS[1], '${OWNER}')
if not owner or owner == '${NOBODY}' then return 'gone' end
if owner == '${REVOKED}' then return 'revoked' end
if owner ~= ARGV[1] then return 'taken' end
if (redis.call('hget', KEYS[1], '${SEQ}') or '0') ~= ARGV[2] then return 'stale' end`;

/**
 * Prefix of the time until which a call may be tried, by Redis' clock, in milliseconds since 1970: of the segment itself, no call follows. It is
 * written as the milliseconds that are left, so the clocks of workers need not agree.
 */
export const END = '@end:';

/** Sets fields from the argument of this number on, in pairs of name and value; an empty value removes the field. */
const setFrom = (first: number): string => `for i = ${first}, #ARGV, 2 do
  local name, value = ARGV[i], ARGV[i + 1]
  if value == '' then redis.call('hdel', KEYS[1], name)
  elseif string.sub(name, 1, ${END.length}) == '${END}' then redis.call('hset', KEYS[1], name, string.format('%.0f', now + value))
  else redis.call('hset', KEYS[1], name, value) end
end`;

/**
 * Takes over a journal. `missingMs`: how long a missing journal must not be taken. `longestMs`: the longest possible
 * lease. `askedAt`: when the owner's segment was scheduled, or 0. Returns the milliseconds for which another worker
 * holds the journal, or -1 if its owner was scheduled later, or the run was erased since the segment began; else whether a lease has expired, all fields, the owner before, and Redis' time.
 * `leftMs`: what is left of the segment's time, which the first one records; empty if it has no end. An expired
 * lease stays until `endLease`: a reply may be lost, and the next one must say the same. A lease that ends later than
 * possible comes from a clock that was set back.
 */
export const take = script<
  Keys,
  [
    owner: string,
    ttlMs: number,
    missingMs: number,
    longestMs: number,
    askedAt: number,
    leftMs: number | '',
    ageMs: number,
  ],
  number | readonly [ranOut: 0 | 1, fields: string[], before: string, now: number]
>(`${ifErasedSince("redis.call('get', KEYS[3])", 'ARGV[7]', 'return -1')}
${NOW}
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
  ranOut = 1
end
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${SEQ}', 0, '${ASKED}', ARGV[5])
local takes = math.max(tonumber(redis.call('hget', KEYS[1], '${TAKES}') or 0) + 1, now)
redis.call('hset', KEYS[1], '${TAKES}', string.format('%.0f', takes))
if ARGV[6] ~= '' then redis.call('hsetnx', KEYS[1], '${END}', string.format('%.0f', now + ARGV[6])) end
redis.call('pexpire', KEYS[1], ARGV[2])
${noteErasable(2, '2 * ARGV[2]')}
return {ranOut, redis.call('hgetall', KEYS[1]), owner or '', now}`);

/** Removes the expired lease of the owner before. */
export const endLease = script<Key, [owner: string], void>(`
if redis.call('hget', KEYS[1], '${OWNER}') == ARGV[1] then redis.call('hdel', KEYS[1], '${LEASE}') end`);

/** Begins a journal; an existing one is left unchanged, and none is begun if the run was erased since the job was put. `leftMs` as for `take`. */
export const begin = script<
  Keys,
  [owner: string, ttlMs: number, leaseMs: number, leftMs: number | '', ageMs: number],
  0 | 1
>(`
if redis.call('exists', KEYS[1]) == 1 then return 0 end
${ifErasedSince("redis.call('get', KEYS[3])", 'ARGV[5]', 'return 0')}
${NOW}
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${LEASE}', now + ARGV[3])
if ARGV[4] ~= '' then redis.call('hset', KEYS[1], '${END}', string.format('%.0f', now + ARGV[4])) end
redis.call('pexpire', KEYS[1], ARGV[2])
${noteErasable(2, '2 * ARGV[2]')}
return 1`);

/** `before`: number of writes before this one, `writes`: including it. An expiry or lease of 0 is not set. */
export const write = script<
  Key,
  [owner: string, before: number, writes: number, ttlMs: number, leaseMs: number, ...fields: string[]],
  Reply
>(`${HELD}
${NOW}
if ARGV[4] ~= '0' then redis.call('pexpire', KEYS[1], ARGV[4]) end
if ARGV[5] ~= '0' then redis.call('hset', KEYS[1], '${LEASE}', now + ARGV[5]) end
redis.call('hset', KEYS[1], '${SEQ}', ARGV[3])
${setFrom(6)}
return 'held'`);

/**
 * Replaces the journal with the owner's copy unless another worker owns it whose segment was scheduled later, or that has taken it later: of
 * several attempts that write it again, the last one has the most. A worker of an earlier release, which does not say when it took the journal,
 * keeps it. Nothing is written again of a run that was erased since the segment began. The first field is `TAKES`. A lease of 0 is not set.
 */
export const restore = script<
  Keys,
  [
    owner: string,
    writes: number,
    ttlMs: number,
    leaseMs: number,
    askedAt: number,
    ageMs: number,
    of: typeof TAKES,
    takes: string,
    ...fields: string[],
  ],
  Standing
>(`
local owner = redis.call('hget', KEYS[1], '${OWNER}')
if owner == '${REVOKED}' then return 'revoked' end
${ifErasedSince("redis.call('get', KEYS[3])", 'ARGV[6]', "return 'revoked'")}
if owner and owner ~= '${NOBODY}' and owner ~= ARGV[1] then
  local own, asked = tonumber(ARGV[5]), tonumber(redis.call('hget', KEYS[1], '${ASKED}') or 0)
  if own < asked then return 'taken' end
  local takes = redis.call('hget', KEYS[1], '${TAKES}')
  if own == asked and (not takes or tonumber(ARGV[8]) <= tonumber(takes)) then return 'taken' end
end
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], '${OWNER}', ARGV[1], '${SEQ}', ARGV[2])
if ARGV[5] ~= '0' then redis.call('hset', KEYS[1], '${ASKED}', ARGV[5]) end
${NOW}
if ARGV[4] ~= '0' then redis.call('hset', KEYS[1], '${LEASE}', now + ARGV[4]) end
redis.call('pexpire', KEYS[1], ARGV[3])
${noteErasable(2, '2 * ARGV[3]')}
${setFrom(7)}
return 'held'`);

/**
 * Releases the lease and returns the number of subscribers that received the message. An empty `channel`: no message.
 */
export const release = script<
  Key,
  [owner: string, writes: number, channel: string, message: string],
  number | Exclude<Reply, 'held'>
>(`${HELD}
redis.call('hdel', KEYS[1], '${LEASE}')
if ARGV[3] == '' then return 0 end
return redis.call('publish', ARGV[3], ARGV[4])`);

/** Adds 1 to the second field of each pair if the first one exists. */
export const addIfMarked = script<Key, readonly string[], void>(`
for i = 1, #ARGV, 2 do
  if redis.call('hexists', KEYS[1], ARGV[i]) == 1 then redis.call('hincrby', KEYS[1], ARGV[i + 1], 1) end
end`);

/**
 * `ttlMs`: expiry of a journal that does not exist yet. The lease remains: calls made under it have ended when it
 * expires.
 */
export const revoke = script<Key, [ttlMs: number], void>(`
local there = redis.call('exists', KEYS[1])
redis.call('hset', KEYS[1], '${OWNER}', '${REVOKED}')
if there == 0 then redis.call('pexpire', KEYS[1], ARGV[1]) end`);

/** Later than any time at which a segment may be scheduled: so an erased journal is taken by nobody. */
const NEVER = Number.MAX_SAFE_INTEGER;

/**
 * Of the owner, or with an empty text of any. An erased journal keeps its expiry: while it is there, nothing of its run is written again, and
 * the outcome of a fast run may be noted after the run's erasure.
 */
export const keepFor = script<Keys, [owner: string, ttlMs: number], void>(`
if ARGV[1] ~= '' and redis.call('hget', KEYS[1], '${OWNER}') ~= ARGV[1] then return end
if redis.call('hget', KEYS[1], '${ASKED}') == '${NEVER}' then return end
if redis.call('pexpire', KEYS[1], ARGV[2]) == 0 then return end
${NOW}
${noteErasable(2, 'ARGV[2]')}`);

/** Whether `keepFor` has shortened the expiry to this, or the journal is revoked: nobody goes on from it. */
export const isOver = script<Key, [ttlMs: number], 0 | 1>(`
if redis.call('hget', KEYS[1], '${OWNER}') == '${REVOKED}' then return 1 end
local left = redis.call('pttl', KEYS[1])
return left > 0 and left <= tonumber(ARGV[1]) and 1 or 0`);

/**
 * Leaves nothing of a journal but that it is revoked, and that no attempt may take it; nothing of one that is not there. In one step with its
 * removal from the set: one that is opened afterwards is in the set again.
 */
export const erase = script<Keys, [ttlMs: number], void>(`
redis.call('zrem', KEYS[2], KEYS[1])
if redis.call('del', KEYS[1]) == 0 then return end
redis.call('hset', KEYS[1], '${OWNER}', '${REVOKED}', '${ASKED}', '${NEVER}')
redis.call('pexpire', KEYS[1], ARGV[1])`);
