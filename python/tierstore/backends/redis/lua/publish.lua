-- Take the next number of the channel and publish. The stream's random id shows whether the counter began anew or went on.
-- KEYS: sequence. ARGV: epoch, channel, id for a new stream, payload. Answers the number.
local stream = redis.pcall('HGET', KEYS[1], 'stream')
local number = type(stream) == 'string' and redis.pcall('HINCRBY', KEYS[1], 'number', 1)
if type(number) == 'table' and not (string.find(number.err, 'WRONGTYPE') or string.find(number.err, 'integer') or string.find(number.err, 'overflow')) then
  return number -- out of memory, say: nothing was written
end
if type(number) ~= 'number' or number < 1 or number >= 2^53 then -- none, or rubbish of somebody else's
  if stream then -- only then: a script that has written something may finish when the server is out of memory
    redis.call('DEL', KEYS[1])
  end
  stream = ARGV[3]
  redis.call('HSET', KEYS[1], 'stream', stream)
  number = redis.call('HINCRBY', KEYS[1], 'number', 1)
end
redis.call('PUBLISH', ARGV[2], stream .. ':' .. string.format('%.0f', number) .. ':' .. ARGV[4])
return number
