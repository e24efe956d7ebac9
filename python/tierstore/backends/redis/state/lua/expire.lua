-- A new end. KEYS: the key. ARGV: ms, or '' for never. Answers whether it was there. First, and told then, as in `remove`.
local key = KEYS[own + 1]
if not is_there(key) then
  return 0
end
local done = ARGV[2] == '' and redis.pcall('PERSIST', key) or ARGV[2] ~= '' and redis.pcall('PEXPIRE', key, ARGV[2])
if type(done) == 'table' then
  return done
end
tell('t', key, '', end_of(key))
return 1
