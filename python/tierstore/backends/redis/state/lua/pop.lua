-- Read and delete. KEYS: the key. Answers the value, or nil.
local value = value_of(KEYS[own + 1])
return value and (remove(KEYS[own + 1]) or value)
