-- A miss, or another look of who waits: the value if it came meanwhile, else a lease for the first who asks.
-- KEYS: value, lease, floor, hand-over. ARGV: epoch, token, lease in ms, '1' where values that were here before are to be believed, then
-- the lease and the hand-over that the first miss saw, as it answered them ('' at the first).
-- Answers the value; {what was handed over}; {lease, hand-over}: another holds the lease; 1: held; 2: held, and the floor must be seeded by
-- this load. A lease is epoch .. token, a hand-over epoch .. token .. the record.
-- What is no string is rubbish of somebody else's: it counts as missing.
local epoch = ARGV[1]

local function get(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and string.sub(held, 1, 8) == epoch and held
end

if ARGV[4] == '1' then
  local value = get(KEYS[1])
  if value then
    return value
  end
end

local mine = epoch .. ARGV[2]
local holder = get(KEYS[2])
local handed = (holder or ARGV[5] ~= '') and get(KEYS[4])
local by = handed and string.sub(handed, 1, 24) or ''
local seen = string.sub(ARGV[5], 1, 8) == epoch -- else it was at another server, or before its fail-over: this is the first miss
-- A load whose token is neither of those took its lease later than the first miss, and read after that.
if handed and seen and by ~= ARGV[5] and by ~= ARGV[6] then
  return { string.sub(handed, 25) }
end

if holder and holder ~= mine then
  return seen and { ARGV[5], ARGV[6] } or { holder, by }
end
redis.call('SET', KEYS[2], mine, 'PX', ARGV[3])

-- A floor is epoch .. 'n' .. 20 digits; a mark is epoch .. 's' .. 20 digits raised meanwhile .. token.
local floor = get(KEYS[3])
local raised = string.rep('0', 20)
if floor then
  if string.sub(floor, 9, 9) == 'n' then
    return 1
  end
  raised = string.sub(floor, 10, 29) -- a seeding under way is taken over with all that was raised
end
redis.call('SET', KEYS[3], epoch .. 's' .. raised .. ARGV[2], 'EX', 86400)
return 2
