-- Set the mark of the watchers, or prolong it. KEYS: the stream, the mark. ARGV: an id for a new mark, how long mark and stream last, in ms.
-- Answers the mark's id, where the stream ends, and the server's time. A stream that is empty gets an entry, so that it has an end.
local mark = value_of(KEYS[2]) or ARGV[2]
redis.call('SET', KEYS[2], mark, 'PX', ARGV[3])
local last = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', '1')[1]
local position = last and last[1] or redis.call('XADD', KEYS[1], '*', 'c', '')
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return { mark, position, now_ms() }
