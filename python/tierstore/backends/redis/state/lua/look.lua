-- KEYS: the key. Answers the ms that are left, when it ends (below 0: never), and the value if ARGV[2] is 'value'; nil if it is absent.
local key = KEYS[1]
local value = ARGV[2] == 'value' and value_of(key) or ARGV[2] ~= 'value' and is_there(key) and ''
return value and { redis.call('PTTL', key), end_of(key), value }
