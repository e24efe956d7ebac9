-- Add to a decimal integer. KEYS: the key. ARGV: what to add, the ttl where it is absent, the new blanks.
-- Answers the sum as text; nil, and nothing is changed, where there is no integer or the sum is beyond 64 bits.
-- A Lua number holds 53 bits, so that an integer is two of them: high * 10^9 + low, both of its sign.
local function halves(text)
  local sign, digits = string.match(text, '^[ \t\n\r]*(%-?)(%d+)[ \t\n\r]*$')
  if not digits or #digits > 19 or (#digits > 1 and string.sub(digits, 1, 1) == '0') then
    return nil
  end
  local factor = sign == '-' and -1 or 1
  return factor * tonumber('0' .. string.sub(digits, 1, -10)), factor * tonumber(string.sub(digits, -9))
end

local key = KEYS[own + 1]
local held = value_of(key)
local high, low = halves(held or '0')
local more_high, more_low = halves(ARGV[2])
if not high or not more_high then
  return false
end
high, low = high + more_high, low + more_low
local carry = math.floor(low / 1e9) -- from here on low is 0 to 10^9 - 1
high, low = high + carry, low - carry * 1e9
if high > 9223372036 or (high == 9223372036 and low > 854775807) then
  return false
elseif high < -9223372037 or (high == -9223372037 and low < 145224192) then
  return false
end
local sign = high < 0 and '-' or ''
if high < 0 and low > 0 then
  high, low = high + 1, low - 1e9
end
high, low = math.abs(high), math.abs(low)
local sum = sign .. (high > 0 and string.format('%.0f%09.0f', high, low) or string.format('%.0f', low))
return store(key, sum .. ARGV[4], held and 'keep' or ARGV[3]) or sum
