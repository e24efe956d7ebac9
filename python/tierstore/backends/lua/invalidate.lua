-- A write: values and leases of one slot go, its floor rises. A missing floor stays missing: only a load may seed it.
-- KEYS: floor, then value and lease of each key. ARGV: epoch, floor (20 digits).
local epoch = ARGV[1]
-- First, for a script that has written something may finish when the server is out of memory.
for index = 2, #KEYS do
  redis.call('DEL', KEYS[index])
end

local floor = redis.call('GET', KEYS[1])
if not floor then
  return 1
end
local raised = string.sub(floor, 10, 29)
if string.sub(floor, 1, 8) ~= epoch then
  redis.call('DEL', KEYS[1])
elseif raised < ARGV[2] then
  redis.call('SET', KEYS[1], string.sub(floor, 1, 9) .. ARGV[2] .. string.sub(floor, 30))
end
return 1
