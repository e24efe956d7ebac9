-- Take the next number of the channel and publish. The stream's random id tells a counter that began anew from one that went on.
-- KEYS: sequence. ARGV: epoch, channel, id for a new stream, payload. Answers the number.
local stream = redis.call('HGET', KEYS[1], 'stream')
if not stream then
  stream = ARGV[3]
  redis.call('HSET', KEYS[1], 'stream', stream)
end
local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
redis.call('PUBLISH', ARGV[2], stream .. ':' .. string.format('%.0f', number) .. ':' .. ARGV[4])
return number
