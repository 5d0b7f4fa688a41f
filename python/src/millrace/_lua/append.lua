local s = redis.call('hmget', KEYS[1], 'owner', 'count', 'hash', 'end', 'from', 'bytes')
local function push(first)
  local bytes = 0
  for i = first, #ARGV do
    bytes = bytes + #ARGV[i]
    redis.call('rpush', KEYS[2], ARGV[i])
  end
  return bytes
end
local function trim()
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
end
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
local time = redis.call('time')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('zremrangebyscore', KEYS[3], '-inf', now)
redis.call('zadd', KEYS[3], string.format('%.0f', now + ARGV[6]), KEYS[1])
redis.call('pexpireat', KEYS[3], redis.call('zrange', KEYS[3], -1, -1, 'withscores')[2])
end
if more > 0 or ARGV[8] ~= '' then redis.call('publish', ARGV[9], ARGV[4]) end
return 'held'
