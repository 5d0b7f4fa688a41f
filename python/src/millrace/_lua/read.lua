local s = redis.call('hmget', KEYS[1], 'owner', 'count', 'hash', 'end', 'from', 'bytes')
if not s[2] then return nil end
local skip = math.max(0, tonumber(ARGV[1]) - tonumber(s[5]))
local entries = redis.call('lrange', KEYS[2], skip, skip + tonumber(ARGV[2]) - 1)
return {s[2], s[3], tostring(tonumber(s[5]) + skip), s[4] or '', entries}
