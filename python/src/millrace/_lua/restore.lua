local function push(first)
  local bytes = 0
  for i = first, #ARGV do
    bytes = bytes + #ARGV[i]
    redis.call('rpush', KEYS[2], ARGV[i])
  end
  return bytes
end
local erased = redis.call('get', KEYS[4])
if erased then
  local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now - ARGV[8] <= tonumber(erased) then return 'taken' end
end
local owner = redis.call('hget', KEYS[1], 'owner')
if owner and owner ~= ARGV[1] then return 'taken' end
for i = 5, #KEYS do
  local s = redis.call('hmget', KEYS[i], 'end', 'kept')
  if s[2] and s[1] ~= '{"as":"void"}' then return 'kept' end
end
for i = 5, #KEYS do
  if redis.call('exists', KEYS[i]) == 0 then
    redis.call('hset', KEYS[i], 'owner', '', 'count', 0, 'hash', '', 'from', 0, 'bytes', 0)
  end
  redis.call('hset', KEYS[i], 'end', '{"as":"void"}')
  redis.call('pexpire', KEYS[i], ARGV[5])
  redis.call('publish', KEYS[i], '')
end
redis.call('del', KEYS[2])
local bytes = push(9)
redis.call('hset', KEYS[1], 'owner', ARGV[1], 'from', ARGV[2], 'count', ARGV[3], 'hash', ARGV[4], 'bytes', bytes, 'kept', 1)
if ARGV[6] ~= '' then redis.call('hset', KEYS[1], 'end', ARGV[6]) end
redis.call('pexpire', KEYS[1], ARGV[5])
redis.call('pexpire', KEYS[2], ARGV[5])
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('zremrangebyscore', KEYS[3], '-inf', now)
redis.call('zadd', KEYS[3], string.format('%.0f', now + 2 * ARGV[5] + 3600000), KEYS[1])
redis.call('pexpireat', KEYS[3], redis.call('zrange', KEYS[3], -1, -1, 'withscores')[2])
redis.call('publish', ARGV[7], ARGV[3])
return 'held'
