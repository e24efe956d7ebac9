-- The pings that wait, for the one process that relays. KEYS: pings, relay. ARGV: epoch, process, for how many ms it relays, pings at most.
-- Answers a list, or nil: another process relays. What is of another type is rubbish of somebody else's, and goes.
local mine = ARGV[1] .. ARGV[2]
local relays = redis.pcall('GET', KEYS[2])
if type(relays) == 'string' and relays ~= mine and string.sub(relays, 1, 8) == ARGV[1] then
  return false
end
redis.call('SET', KEYS[2], mine, 'PX', ARGV[3])
local taken = redis.pcall('LPOP', KEYS[1], ARGV[4])
if type(taken) ~= 'table' then
  return {}
end
if taken.err then
  redis.call('DEL', KEYS[1])
  return {}
end
return taken
