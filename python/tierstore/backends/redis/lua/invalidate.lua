-- A write: values and leases go, the floors of their slots rise. A missing floor stays missing: only a load may seed it.
-- KEYS: the floors, then value and lease of each key; in a cluster all of one slot. ARGV: epoch, floor (20 digits), how many floors.
local epoch, floors = ARGV[1], tonumber(ARGV[3])
-- First, for a script that has written something may finish when the server is out of memory. In parts, for the stack is limited.
for first = floors + 1, #KEYS, 1000 do
  redis.call('DEL', unpack(KEYS, first, math.min(first + 999, #KEYS)))
end

for index = 1, floors do
  local floor = redis.pcall('GET', KEYS[index])
  if type(floor) == 'table' then -- no string: rubbish of somebody else's
    redis.call('DEL', KEYS[index])
  elseif floor then
    local raised = string.sub(floor, 10, 29)
    if string.sub(floor, 1, 8) ~= epoch then
      redis.call('DEL', KEYS[index])
    elseif raised < ARGV[2] then
      redis.call('SET', KEYS[index], string.sub(floor, 1, 9) .. ARGV[2] .. string.sub(floor, 30), 'EX', 86400)
    end
  end
end
return 1
