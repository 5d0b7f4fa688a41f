import { ifErasedSince, NOW, script } from '../redis/index.js';

/** Key of the hash with the record of a run and of its child runs. Its fields are the calls, by their names, and those below. */
export const recordKey = (root: string): string => `millrace:record:{${root}}`;

/** Field: when the record was erased, by the store's clock. */
export const ERASED = '@erased';
/** Field: the mark of a resumption. */
export const HELD = '@held';
/** Field of a held record: the run that resumed it has been erased, and what that has done is not known. */
export const FORGOTTEN = '@forgotten';
/** Field: how many calls could not be recorded. */
export const GAPS = '@gaps';
/** Field: size of all entries. */
const BYTES = '@bytes';
/** Before the name of a call, by its `resumedPath`: its failure. */
export const FAILED = '!';
/** Before a path (`resumedPath`): the name of the call that has succeeded there, empty if none has. */
export const PATH = '=';

/** How far the clocks of a worker and of Temporal may differ, in milliseconds. */
export const CLOCKS_MS = 60_000;

/** Lua: ends if the record was erased since so many milliseconds ago: what began before is not recorded, and is no gap. */
const unlessErased = (ageMs: string, end: string): string =>
  ifErasedSince(`redis.call('hget', KEYS[1], '${ERASED}')`, ageMs, end);

/**
 * Returns 1 if the call is recorded, 0 if the record has reached its limit. A call of a run that was erased while it ran is not recorded, and
 * is no gap; another run may have its id since.
 */
export const keep = script<
  [record: string],
  [
    field: string,
    text: string,
    path: string,
    succeeded: string,
    keptMs: number,
    gaps: number,
    mostFields: number,
    mostBytes: number,
    ageMs: number,
  ],
  0 | 1
>(`
${unlessErased('ARGV[9]', 'return 1')}
local function attemptOf(entry) return string.match(entry, '"attempt":(%d+),"digest":"([^"]+)"') end
local function timesOf(entry) return string.match(entry, '"digest":"[^"]+","startedAt":(%d+),"endedAt":(%d+)') end
local field, text, path, succeeded = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local gaps, size = tonumber(ARGV[6]), string.len(ARGV[2])
local full = redis.call('hlen', KEYS[1]) >= tonumber(ARGV[7])
  or tonumber(redis.call('hget', KEYS[1], '${BYTES}') or '0') + size > tonumber(ARGV[8])
if full then gaps = gaps + 1 end
if gaps > 0 then redis.call('hincrby', KEYS[1], '${GAPS}', gaps) end
if not full then
  local known = succeeded ~= '' and redis.call('hget', KEYS[1], field)
  local late = false
  if known then
    local attempt, digest = attemptOf(known)
    local own, ownDigest = attemptOf(text)
    late = digest == ownDigest and tonumber(attempt) > tonumber(own)
    local _, ended = timesOf(known)
    local started = timesOf(text)
    if ended and started and tonumber(started) > tonumber(ended) + ${CLOCKS_MS} then late = false end
  end
  if not late then
    if redis.call('hset', KEYS[1], field, text) == 1 then redis.call('hincrby', KEYS[1], '${BYTES}', size) end
    redis.call(succeeded == '' and 'hsetnx' or 'hset', KEYS[1], path, succeeded)
  end
end
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[5]) then redis.call('pexpire', KEYS[1], ARGV[5]) end
return full and 0 or 1`);

export const erase = script<[record: string], [erasedMs: number], void>(`
${NOW}
redis.call('del', KEYS[1])
redis.call('hset', KEYS[1], '${ERASED}', now)
redis.call('pexpire', KEYS[1], ARGV[1])`);

/** Adds calls that could not be recorded to their number. */
export const addGaps = script<[record: string], [count: number, keptMs: number, ageMs: number], void>(`
${unlessErased('ARGV[3]', 'return')}
redis.call('hincrby', KEYS[1], '${GAPS}', ARGV[1])
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[2]) end`);

/** Whether the record was erased since so many milliseconds ago. */
export const erasedSince = script<[record: string], [ageMs: number], 0 | 1>(`
${unlessErased('ARGV[1]', 'return 1')}
return 0`);

/** Returns 0, and marks nothing, if the record was erased since so many milliseconds ago. */
export const hold = script<[record: string], [before: string, keptMs: number, ageMs: number], 0 | 1>(`
${unlessErased('ARGV[3]', 'return 0')}
redis.call('hset', KEYS[1], '${HELD}', ARGV[1])
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[2]) then redis.call('pexpire', KEYS[1], ARGV[2]) end
return 1`);

/** Keeps a record that is held for longer. Returns 0 if it is gone. */
export const keepOn = script<[record: string], [keptMs: number], 0 | 1>(`
if redis.call('hexists', KEYS[1], '${HELD}') == 0 then return 0 end
if redis.call('pttl', KEYS[1]) < tonumber(ARGV[1]) then redis.call('pexpire', KEYS[1], ARGV[1]) end
return 1`);

/** Notes in a held record that the run which resumed it is erased. */
export const forget = script<[record: string], [], void>(`
if redis.call('hexists', KEYS[1], '${HELD}') == 1 then redis.call('hset', KEYS[1], '${FORGOTTEN}', 1) end`);
