/**
 * Key of the sorted set of what is kept of a run besides its record and its events: the keys of its journals and channels, which are named by
 * its stages, by the time at which each has expired at the latest. In the slot of the run.
 */
export const erasableKey = (run: string): string => `millrace:{${run}}:erasable`;

/**
 * Lua: notes the first key in the set at the key of this number, and removes what has expired. Needs `NOW`.
 * @param forMs Lua of how long it may be there from now on, in milliseconds
 */
export const noteErasable = (
  number: number,
  forMs: string,
): string => `redis.call('zremrangebyscore', KEYS[${number}], '-inf', now)
redis.call('zadd', KEYS[${number}], string.format('%.0f', now + ${forMs}), KEYS[1])
redis.call('pexpireat', KEYS[${number}], redis.call('zrange', KEYS[${number}], -1, -1, 'withscores')[2])`;

/** Key of when a run was erased, by the store's clock. In the slot of the run. */
export const erasedKey = (run: string): string => `millrace:{${run}}:erased`;

/**
 * Lua: does this if the run was erased since so many milliseconds ago: what began before opens nothing any more. A run that is started under the
 * same id begins later.
 * @param erased Lua that reads when that was, by the store's clock
 * @param ageMs Lua of how long ago the call, or its segment, began
 */
export const ifErasedSince = (erased: string, ageMs: string, then: string): string =>
  `local erased = ${erased}
if erased then
  ${NOW}
  if now - ${ageMs} <= tonumber(erased) then ${then} end
end`;

/**
 * How long a run stays erased, in milliseconds: what calls that began before its erasure write within this time is dropped. A worker that is cut
 * off from Temporal ends its attempt at the timeout of the attempt.
 */
export const ERASED_MS = 21_600_000;

/** Lua: the time in milliseconds since 1970, by the store's clock, as `now`. */
export const NOW = `local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)`;
