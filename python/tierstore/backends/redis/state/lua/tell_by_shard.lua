-- A cluster: each slot counts its changes, and publishes each with the number before it and its own. A server before 7 counts only.
-- A new counter begins at the time in microseconds, beyond what any counter of before has come to: so one that was lost shows.
-- KEYS: the slot's counter, whose name is the slot's channel too, then those of the call. ARGV: the epoch, then those of the call.
local own = 1
local watched = true

-- The error if it cannot be told. ends: when the pair ends, in ms since the epoch; below 0: never.
local function tell(kind, key, tag, ends)
  local number = redis.pcall('INCR', KEYS[1])
  if type(number) == 'table' then
    return number
  end
  local before = number - 1
  if before == 0 then
    local time = redis.call('TIME')
    number = time[1] * 1e6 + time[2]
    redis.call('SET', KEYS[1], string.format('%.0f', number))
  end
  local change = kind .. '|' .. tag .. '|' .. string.format('%.0f', ends) .. '|' .. key
  redis.pcall('SPUBLISH', KEYS[1], string.format('%.0f|%.0f|', before, number) .. change)
end
