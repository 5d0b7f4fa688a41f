import { ifErasedSince, NOW, noteErasable, script } from '../redis/index.js';
import { KEPT_CLOSED_MS, type Standing, VOID } from './channel.js';

type Keys = readonly [state: string, entries: string];
/** With the set of what is to be erased with the run. */
type Noted = readonly [state: string, entries: string, erasable: string];
/** With when the run was erased. */
type Opened = readonly [state: string, entries: string, erasable: string, erased: string];

/**
 * Fields of a channel's state. `from`: number of the first kept entry. `bytes`: of the kept entries. A field `r:<name>`
 * is the number of the first entry that a reader still needs.
 */
const STATE = `local s = redis.call('hmget', KEYS[1], 'owner', 'count', 'hash', 'end', 'from', 'bytes')`;

/** Number of entries, their hash, number of the first returned entry, the end or an empty text, and the entries. */
export type HeldReply = readonly [count: string, hash: string, from: string, end: string, entries: readonly string[]];

/** Nothing, and no channel, if the run was erased since the attempt began. */
export const open = script<
  Opened,
  [owner: string, ttlMs: number, startHash: string, first: number, ageMs: number],
  HeldReply | null
>(`${ifErasedSince("redis.call('get', KEYS[4])", 'ARGV[5]', 'return nil')}
if redis.call('exists', KEYS[1]) == 0 then
  redis.call('del', KEYS[2])
  redis.call('hset', KEYS[1], 'count', 0, 'hash', ARGV[3], 'from', 0, 'bytes', 0)
end
redis.call('hset', KEYS[1], 'owner', ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
redis.call('pexpire', KEYS[2], ARGV[2])
${NOW}
${noteErasable(3, `2 * ARGV[2] + ${KEPT_CLOSED_MS}`)}
${STATE}
local from = tonumber(s[5])
local skip = math.max(0, math.min(tonumber(ARGV[4]), tonumber(s[2])) - from)
return {s[2], s[3], tostring(from + skip), s[4] or '', redis.call('lrange', KEYS[2], skip, -1)}`);

/** Pushes ARGV[first] and following, and returns their bytes. Batches: Lua's stack is limited. */
const PUSH = `local function push(first)
  local bytes = 0
  for i = first, #ARGV do
    bytes = bytes + #ARGV[i]
    redis.call('rpush', KEYS[2], ARGV[i])
  end
  return bytes
end`;

/** Drops the entries that every known reader has passed; without a reader none. */
const TRIM = `local function trim()
  local least
  local all = redis.call('hgetall', KEYS[1])
  for i = 1, #all, 2 do
    if string.sub(all[i], 1, 2) == 'r:' then
      local at = tonumber(all[i + 1])
      if not least or at < least then least = at end
    end
  end
  local from = tonumber(redis.call('hget', KEYS[1], 'from'))
  local dropped = 0
  while least and from < least do
    local entry = redis.call('lpop', KEYS[2])
    if not entry then break end
    dropped = dropped + #entry
    from = from + 1
  end
  redis.call('hset', KEYS[1], 'from', from)
  -- Not -dropped: before Redis 7.2 that is the text "-0" if none was, which is no number.
  redis.call('hincrby', KEYS[1], 'bytes', 0 - dropped)
end`;

export const append = script<
  Noted,
  [
    owner: string,
    count: number,
    hash: string,
    countAfter: number,
    hashAfter: string,
    ttlMs: number,
    mostBytes: number,
    end: string,
    channel: string,
    ...entries: string[],
  ],
  Standing
>(`${STATE}
${PUSH}
${TRIM}
if not s[1] then return 'gone' end
if s[1] ~= ARGV[1] then return 'taken' end
if s[2] ~= ARGV[2] or s[3] ~= ARGV[3] then return 'differs' end
local more = 0
for i = 10, #ARGV do more = more + #ARGV[i] end
if more > 0 and tonumber(s[6]) + more > tonumber(ARGV[7]) then
  trim()
  if tonumber(redis.call('hget', KEYS[1], 'bytes')) + more > tonumber(ARGV[7]) then return 'full' end
end
push(10)
redis.call('hset', KEYS[1], 'count', ARGV[4], 'hash', ARGV[5])
redis.call('hincrby', KEYS[1], 'bytes', more)
redis.call('pexpire', KEYS[1], ARGV[6])
redis.call('pexpire', KEYS[2], ARGV[6])
if ARGV[8] ~= '' then
redis.call('hset', KEYS[1], 'end', ARGV[8])
${NOW}
${noteErasable(3, 'ARGV[6]')}
end
if more > 0 or ARGV[8] ~= '' then redis.call('publish', ARGV[9], ARGV[4]) end
return 'held'`);

/**
 * The state keys of the generations before are the last ones: they are void; `kept` if a reader keeps one that is not. `taken` also if the run was
 * erased since the attempt began.
 */
export const restore = script<
  readonly [state: string, entries: string, erasable: string, erased: string, ...before: string[]],
  [
    owner: string,
    from: number,
    countAfter: number,
    hashAfter: string,
    ttlMs: number,
    end: string,
    channel: string,
    ageMs: number,
    ...entries: string[],
  ],
  'held' | 'taken' | 'kept'
>(`${PUSH}
${ifErasedSince("redis.call('get', KEYS[4])", 'ARGV[8]', "return 'taken'")}
local owner = redis.call('hget', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 'taken' end
for i = 5, #KEYS do
  local s = redis.call('hmget', KEYS[i], 'end', 'kept')
  if s[2] and s[1] ~= '${VOID}' then return 'kept' end
end
for i = 5, #KEYS do
  if redis.call('exists', KEYS[i]) == 0 then
    redis.call('hset', KEYS[i], 'owner', '', 'count', 0, 'hash', '', 'from', 0, 'bytes', 0)
  end
  redis.call('hset', KEYS[i], 'end', '${VOID}')
  redis.call('pexpire', KEYS[i], ARGV[5])
  redis.call('publish', KEYS[i], '')
end
redis.call('del', KEYS[2])
local bytes = push(9)
redis.call('hset', KEYS[1], 'owner', ARGV[1], 'from', ARGV[2], 'count', ARGV[3], 'hash', ARGV[4], 'bytes', bytes, 'kept', 1)
if ARGV[6] ~= '' then redis.call('hset', KEYS[1], 'end', ARGV[6]) end
redis.call('pexpire', KEYS[1], ARGV[5])
redis.call('pexpire', KEYS[2], ARGV[5])
${NOW}
${noteErasable(3, `2 * ARGV[5] + ${KEPT_CLOSED_MS}`)}
redis.call('publish', ARGV[7], ARGV[3])
return 'held'`);

/**
 * For each channel four keys: its own and those of the next generation, and last the set of what is to be erased; and two arguments: its
 * writer, and the hash of no entry in the next generation. A repeated call whose reply was lost changes nothing.
 */
export const startOver = script<
  readonly string[],
  [ttlMs: number, ...writersAndHashes: string[]],
  'void' | 'kept' | 'taken'
>(`
local last = (#KEYS - 1) / 4 - 1
local erasable = KEYS[#KEYS]
${NOW}
for i = 0, last do
  local s = redis.call('hmget', KEYS[i * 4 + 1], 'owner', 'end', 'kept')
  local owner = ARGV[i * 2 + 2]
  if s[1] and s[1] ~= owner then return 'taken' end
  if s[2] == '${VOID}' then
    if redis.call('hget', KEYS[i * 4 + 3], 'owner') ~= owner then return 'taken' end
  elseif not s[1] or s[2] or s[3] then return 'kept' end
end
for i = 0, last do
  local state, entries, after, afterEntries = KEYS[i * 4 + 1], KEYS[i * 4 + 2], KEYS[i * 4 + 3], KEYS[i * 4 + 4]
  if redis.call('hget', state, 'end') ~= '${VOID}' then
    redis.call('hset', state, 'end', '${VOID}', 'bytes', 0)
    redis.call('pexpire', state, ARGV[1])
    redis.call('del', entries, after, afterEntries)
    redis.call('hset', after, 'owner', ARGV[i * 2 + 2], 'count', 0, 'hash', ARGV[i * 2 + 3], 'from', 0, 'bytes', 0)
    redis.call('pexpire', after, ARGV[1])
    redis.call('zadd', erasable, string.format('%.0f', now + 2 * ARGV[1] + ${KEPT_CLOSED_MS}), after)
    redis.call('pexpireat', erasable, redis.call('zrange', erasable, -1, -1, 'withscores')[2])
    redis.call('publish', state, '')
  end
end
return 'void'`);

export const keep = script<Keys, [], 'kept' | 'void' | 'gone'>(`
local s = redis.call('hmget', KEYS[1], 'owner', 'end')
if not s[1] then return 'gone' end
if s[2] == '${VOID}' then return 'void' end
redis.call('hset', KEYS[1], 'kept', 1)
return 'kept'`);

/** Nothing if there is no channel. */
export const read = script<Keys, [from: number, most: number], HeldReply | null>(`${STATE}
if not s[2] then return nil end
local skip = math.max(0, tonumber(ARGV[1]) - tonumber(s[5]))
local entries = redis.call('lrange', KEYS[2], skip, skip + tonumber(ARGV[2]) - 1)
return {s[2], s[3], tostring(tonumber(s[5]) + skip), s[4] or '', entries}`);

export const passed = script<Keys, [reader: string, number: number], void>(`
if redis.call('exists', KEYS[1]) == 1 then redis.call('hset', KEYS[1], 'r:' .. ARGV[1], ARGV[2]) end`);

/** Nothing if no other reader has said what it needs. */
export const needed = script<Keys, [besides: string], string | null>(`
local least
local all = redis.call('hgetall', KEYS[1])
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 2) == 'r:' and all[i] ~= 'r:' .. ARGV[1] then
    local at = tonumber(all[i + 1])
    if not least or at < least then least = at end
  end
end
return least and string.format('%.0f', least)`);

/**
 * Leaves an empty channel that nobody writes: its writer ends, as if another one had opened it. Nothing of one that is not there. In one step with
 * its removal from the set: one that is opened afterwards is in the set again.
 */
export const erase = script<Noted, [startHash: string, ttlMs: number], void>(`
redis.call('zrem', KEYS[3], KEYS[1])
if redis.call('del', KEYS[1], KEYS[2]) == 0 then return end
redis.call('hset', KEYS[1], 'owner', '', 'count', 0, 'hash', ARGV[1], 'from', 0, 'bytes', 0)
redis.call('pexpire', KEYS[1], ARGV[2])`);
