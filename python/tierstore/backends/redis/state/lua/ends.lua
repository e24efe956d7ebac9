-- When keys end. KEYS: the slot's counter or the stream, then the keys. Answers the server's time and the counter, then for each key when
-- it ends, in ms since the epoch; -1: never, -2: absent.
local answers = { now_ms(), value_of(KEYS[1]) or '0' }
for index = 2, #KEYS do
  answers[#answers + 1] = is_there(KEYS[index]) and end_of(KEYS[index]) or -2
end
return answers
