-- What all scripts of state know. A key that holds no string is somebody else's: it counts as absent.
local function value_of(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and held
end

local function is_there(key)
  return redis.call('TYPE', key).ok == 'string'
end

-- The 32 blanks at the end of a value of ours; of another one its digest.
local function tag_of(value)
  local blanks = string.sub(value, -32)
  if #blanks == 32 and not string.find(blanks, '[^ \t\n\r]') then
    return blanks
  end
  return redis.sha1hex(value)
end

-- '*': whatever is there, or '=' and the tag that must be there; '=' alone: absent.
local function fits(expected, value)
  return expected == '*' or expected == '=' .. (value and tag_of(value) or '')
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- In ms since the epoch; -1: never, -2: absent. PEXPIRETIME came with Redis 7.
local function end_of(key)
  local ends = redis.pcall('PEXPIRETIME', key)
  if type(ends) == 'number' then
    return ends
  end
  local left = redis.call('PTTL', key)
  return left < 0 and left or now_ms() + left
end

-- Store; ttl: ms, 'keep', or '' for never. The error if it was refused, and then nothing is written: it is told before it is stored.
local function store(key, value, ttl)
  local refused, done
  if watched then
    local ends = -1
    if ttl == 'keep' then
      ends = end_of(key)
    elseif ttl ~= '' then
      ends = now_ms() + ttl
    end
    refused = tell('s', key, string.sub(value, -32), ends)
  end
  if refused then
    return refused
  elseif ttl == 'keep' then
    done = redis.pcall('SET', key, value, 'KEEPTTL')
  elseif ttl == '' then
    done = redis.pcall('SET', key, value)
  else
    done = redis.pcall('SET', key, value, 'PX', ttl)
  end
  return done.err and done
end

-- Remove what is there. The error if it was refused. First, and told then: a script that has written something may go on out of memory.
local function remove(key)
  local gone = redis.pcall('DEL', key)
  if type(gone) == 'table' then
    return gone
  end
  tell('d', key, '', -1)
end
