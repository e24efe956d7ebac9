-- A fill: accepted with the lease that the miss handed out, and an as_of above the floor.
-- KEYS: value, lease, floor, hand-over. ARGV: epoch, token, seeding ('1' or '0'), as_of, ceiling - 1 (20 digits each), value, ttl in ms,
-- for how many ms it is handed over, whatever the fences say ('0': not).
-- A value is epoch (8 bytes) .. version (8, big-endian) .. revision (2, big-endian) .. the record. Answers 1 or 0.
-- What is no string is rubbish of somebody else's: it counts as missing.
local function get(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and held
end

local epoch = ARGV[1]

local floor = get(KEYS[3])
local fence = nil
if floor and string.sub(floor, 1, 8) == epoch then
  local raised = string.sub(floor, 10, 29)
  if string.sub(floor, 9, 9) == 'n' then
    fence = raised
  elseif ARGV[3] == '1' and string.sub(floor, 30) == ARGV[2] then
    fence = raised > ARGV[5] and raised or ARGV[5]
    redis.call('SET', KEYS[3], epoch .. 'n' .. fence, 'EX', 86400) -- once it has ended, a load seeds it anew
  end
end

if get(KEYS[2]) ~= epoch .. ARGV[2] then
  return 0
end
redis.call('DEL', KEYS[2])
if ARGV[8] ~= '0' then
  redis.call('SET', KEYS[4], epoch .. ARGV[2] .. string.sub(ARGV[6], 19), 'PX', ARGV[8])
end
if not fence or ARGV[4] <= fence then
  return 0
end

-- Neither version nor revision goes down. Two halves, since a Lua number holds 53 bits only.
local there = redis.pcall('GETRANGE', KEYS[1], 0, 17)
if type(there) == 'string' and #there == 18 and string.sub(there, 1, 8) == epoch then
  local high, low, revision = struct.unpack('>I4I4I2', string.sub(there, 9, 18))
  local my_high, my_low, my_revision = struct.unpack('>I4I4I2', string.sub(ARGV[6], 9, 18))
  if my_high < high or (my_high == high and my_low < low) or my_revision < revision then
    return 0
  end
end
redis.call('SET', KEYS[1], ARGV[6], 'PX', ARGV[7])
return 1
