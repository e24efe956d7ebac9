-- KEYS: what is to go. ARGV: what is expected of each. Answers for each 1: it was there, 0: it was not, -1: what is there does not fit.
local answers = {}
for index = 1, #KEYS - own do
  local key = KEYS[own + index]
  if not is_there(key) then
    answers[index] = 0
  elseif ARGV[2] ~= '*' and not fits(ARGV[2], value_of(key)) then
    answers[index] = -1
  else
    local refused = remove(key)
    if refused then
      return refused
    end
    answers[index] = 1
  end
end
return answers
