local erased = redis.call('get', KEYS[4])
if erased then
  local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now - ARGV[5] <= tonumber(erased) then return nil end
end
if redis.call('exists', KEYS[1]) == 0 then
  redis.call('del', KEYS[2])
  redis.call('hset', KEYS[1], 'count', 0, 'hash', ARGV[3], 'from', 0, 'bytes', 0)
end
redis.call('hset', KEYS[1], 'owner', ARGV[1])
redis.call('pexpire', KEYS[1], ARGV[2])
redis.call('pexpire', KEYS[2], ARGV[2])
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('zremrangebyscore', KEYS[3], '-inf', now)
redis.call('zadd', KEYS[3], string.format('%.0f', now + 2 * ARGV[2] + 3600000), KEYS[1])
redis.call('pexpireat', KEYS[3], redis.call('zrange', KEYS[3], -1, -1, 'withscores')[2])
local s = redis.call('hmget', KEYS[1], 'owner', 'count', 'hash', 'end', 'from', 'bytes')
local from = tonumber(s[5])
local skip = math.max(0, math.min(tonumber(ARGV[4]), tonumber(s[2])) - from)
return {s[2], s[3], tostring(from + skip), s[4] or '', redis.call('lrange', KEYS[2], skip, -1)}
