-- A miss: the value if it came meanwhile, else a lease for the first who asks.
-- KEYS: value, lease, floor. ARGV: epoch, token, lease in ms.
-- Answers the value, or 0: another holds the lease; 1: held; 2: held, and the floor must be seeded by this load.
-- What is no string is rubbish of somebody else's: it counts as missing.
local function get(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and held
end

local epoch = ARGV[1]

local value = get(KEYS[1])
if value and string.sub(value, 1, 8) == epoch then
  return value
end

local mine = epoch .. ARGV[2]
local holder = get(KEYS[2])
if holder and holder ~= mine and string.sub(holder, 1, 8) == epoch then
  return 0
end
redis.call('SET', KEYS[2], mine, 'PX', ARGV[3])

-- A floor is epoch .. 'n' .. 20 digits; a mark is epoch .. 's' .. 20 digits raised meanwhile .. token.
local floor = get(KEYS[3])
local raised = string.rep('0', 20)
if floor and string.sub(floor, 1, 8) == epoch then
  if string.sub(floor, 9, 9) == 'n' then
    return 1
  end
  raised = string.sub(floor, 10, 29) -- a seeding under way is taken over with all that was raised
end
redis.call('SET', KEYS[3], epoch .. 's' .. raised .. ARGV[2], 'EX', 86400)
return 2
