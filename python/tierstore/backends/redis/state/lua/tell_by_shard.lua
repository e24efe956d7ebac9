-- A cluster: each slot counts its changes, and publishes them with their numbers. A server before 7 counts only.
-- KEYS: the slot's counter, whose name is the slot's channel too, then those of the call. ARGV: the epoch, then those of the call.
local own = 1
local watched = true

-- The error if it cannot be told. ends: when the pair ends, in ms since the epoch; below 0: never.
local function tell(kind, key, tag, ends)
  local number = redis.pcall('INCR', KEYS[1])
  if type(number) == 'table' then
    return number
  end
  local change = kind .. '|' .. tag .. '|' .. string.format('%.0f', ends) .. '|' .. key
  redis.pcall('SPUBLISH', KEYS[1], string.format('%.0f', number) .. '|' .. change)
end
