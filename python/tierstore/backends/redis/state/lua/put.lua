-- Store values. KEYS: their keys. ARGV, three a key: the value with its blanks; its ttl; what is expected.
-- Answers for each 1: stored, 0: what is there does not fit.
local answers = {}
for index = 1, #KEYS - own do
  local key, at = KEYS[own + index], index * 3 - 1
  local expected = ARGV[at + 2]
  answers[index] = 0
  if fits(expected, expected ~= '*' and value_of(key)) then
    local refused = store(key, ARGV[at], ARGV[at + 1])
    if refused then
      return refused
    end
    answers[index] = 1
  end
end
return answers
