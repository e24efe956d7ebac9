-- One server: changes go to a stream, from the moment on at which somebody set the mark of the watchers.
-- KEYS: the stream, the mark, then those of the call. ARGV: the epoch, then those of the call.
local own = 2
local watched = redis.call('EXISTS', KEYS[2]) == 1

-- The error if it cannot be told. ends: when the pair ends, in ms since the epoch; below 0: never.
local function tell(kind, key, tag, ends)
  if watched then
    local change = kind .. '|' .. tag .. '|' .. string.format('%.0f', ends) .. '|' .. key
    local told = redis.pcall('XADD', KEYS[1], 'MAXLEN', '~', '100000', '*', 'c', change)
    return type(told) == 'table' and told
  end
end
