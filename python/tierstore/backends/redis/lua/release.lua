-- Give up a lease, or the relay. KEYS: the one. ARGV: epoch, token.
if redis.pcall('GET', KEYS[1]) == ARGV[1] .. ARGV[2] then
  redis.call('DEL', KEYS[1])
end
return 1
