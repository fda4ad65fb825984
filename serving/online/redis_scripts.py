"""What the online store runs inside Redis: each script is one step that nobody sees half of.

``zhongcao:current`` names the generation that is read, ``zhongcao:staged`` the one that a fill writes, and
``zhongcao:filling`` lives as long as that fill does. A generation ``G`` is a handful of keys: the hashes
``zhongcao:G:meta``, ``:rows``, ``:states`` and ``:accounts``, and the sorted sets ``:persons``, in the order of
keys, and ``:scans``, who reads it block by block and until when.
"""

from __future__ import annotations

from typing import Final

_COMMON: Final = """
local P = 'zhongcao:'
local PARTS = {'meta', 'rows', 'states', 'accounts', 'persons', 'scans'}
local KEPT_FOR_SCANS = 600
local function current() return redis.call('GET', P .. 'current') end
local function key(g, part) return P .. g .. ':' .. part end
local function drop(g) for _, part in ipairs(PARTS) do redis.call('UNLINK', key(g, part)) end end
local function outlive(g)
  for _, part in ipairs(PARTS) do redis.call('EXPIRE', key(g, part), KEPT_FOR_SCANS) end
end
local function now() return tonumber(redis.call('TIME')[1]) end
local function retire(g)
  redis.call('ZREMRANGEBYSCORE', key(g, 'scans'), '-inf', now())
  if redis.call('ZCARD', key(g, 'scans')) == 0 then drop(g) else outlive(g) end
end
-- Lua's stack holds some thousands of values.
local function values(hash, fields, first)
  local out = {}
  for i = first, #fields, 1000 do
    for _, value in ipairs(redis.call('HMGET', hash, unpack(fields, i, math.min(i + 999, #fields)))) do
      out[#out + 1] = value
    end
  end
  return out
end
"""

DESCRIBE: Final = (
    _COMMON
    + """
local g = current()
if not g then return false end
return {
  redis.call('HMGET', key(g, 'meta'), 'fill', 'schema_hash', 'width', 'as_of', 'seq', 'state_hash', 'facts'),
  redis.call('HLEN', key(g, 'rows')), redis.call('HLEN', key(g, 'accounts')),
}
"""
)

# ARGV: part, fields.
READ: Final = (
    _COMMON
    + """
local g = current()
if not g then return false end
return {g, redis.call('HMGET', key(g, 'meta'), 'fill', 'schema_hash', 'as_of'), values(key(g, ARGV[1]), ARGV, 2)}
"""
)

# ARGV: generation or '' for the current one, fill, scan, from, until, most people. A block without people ends it.
SCAN: Final = (
    _COMMON
    + """
local g = ARGV[1] ~= '' and ARGV[1] or current()
if not g then return false end
local found = redis.call('HGET', key(g, 'meta'), 'fill')
if found ~= ARGV[2] then return {g, found or ''} end
redis.call('ZADD', key(g, 'scans'), now() + KEPT_FOR_SCANS, ARGV[3])
if g ~= current() then outlive(g) end
local persons = redis.call('ZRANGEBYLEX', key(g, 'persons'), ARGV[4], ARGV[5], 'LIMIT', 0, ARGV[6])
return {g, found, persons, values(key(g, 'rows'), persons, 1)}
"""
)

# ARGV: generation, scan.
END_SCAN: Final = (
    _COMMON
    + """
redis.call('ZREM', key(ARGV[1], 'scans'), ARGV[2])
if ARGV[1] ~= current() then retire(ARGV[1]) end
return 1
"""
)

# ARGV: fill, seq, state hash, facts, new seq, then person, state and row (or '') of each update.
UPDATE: Final = (
    _COMMON
    + """
local g = current()
if not g then return 0 end
local found = redis.call('HMGET', key(g, 'meta'), 'fill', 'seq', 'state_hash', 'facts')
for i = 1, 4 do if found[i] ~= ARGV[i] then return 0 end end
for i = 6, #ARGV, 3 do
  redis.call('HSET', key(g, 'states'), ARGV[i], ARGV[i + 1])
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', key(g, 'rows'), ARGV[i], ARGV[i + 2])
    redis.call('ZADD', key(g, 'persons'), 0, ARGV[i])
  end
end
redis.call('HSET', key(g, 'meta'), 'seq', ARGV[5])
return 1
"""
)

# ARGV: new generation, seconds that it may be silent, fields of its meta. What a killed fill left is deleted.
BEGIN: Final = (
    _COMMON
    + """
local filling = redis.call('GET', P .. 'filling')
if filling and filling ~= ARGV[1] then return 0 end
local left = redis.call('GET', P .. 'staged')
if left and left ~= current() then drop(left) end
redis.call('SET', P .. 'filling', ARGV[1], 'EX', ARGV[2])
redis.call('SET', P .. 'staged', ARGV[1])
redis.call('HSET', key(ARGV[1], 'meta'), unpack(ARGV, 3))
return 1
"""
)

# ARGV: generation, seconds that it may be silent from now on.
HOLD: Final = (
    _COMMON
    + """
if redis.call('GET', P .. 'staged') ~= ARGV[1] then return 0 end
redis.call('SET', P .. 'filling', ARGV[1], 'EX', ARGV[2])
return 1
"""
)

# ARGV: generation, '1' where it replaces what is there, name of the fill.
COMMIT: Final = (
    _COMMON
    + """
local g, old = ARGV[1], current()
if redis.call('GET', P .. 'staged') ~= g then
  -- A commit whose answer was lost is asked for again.
  return old and redis.call('HGET', key(old, 'meta'), 'last') == g and 1 or 0
end
if old and ARGV[2] ~= '1' then
  for _, part in ipairs({'rows', 'states', 'accounts', 'meta'}) do
    local cursor = '0'
    repeat
      local page = redis.call('HSCAN', key(g, part), cursor, 'COUNT', 500)
      cursor = page[1]
      for i = 1, #page[2], 2 do
        redis.call('HSET', key(old, part), page[2][i], page[2][i + 1])
        if part == 'rows' then redis.call('ZADD', key(old, 'persons'), 0, page[2][i]) end
      end
    until cursor == '0'
  end
  redis.call('HSET', key(old, 'meta'), 'fill', ARGV[3], 'last', g)
  drop(g)
else
  redis.call('HSET', key(g, 'meta'), 'fill', ARGV[3], 'last', g)
  redis.call('SET', P .. 'current', g)
  if old then retire(old) end
end
redis.call('DEL', P .. 'staged', P .. 'filling')
return 1
"""
)

# ARGV: keys of people or accounts. Drops what a killed fill left; returns how many fields were deleted, or nothing
# where a fill is under way.
ERASE: Final = (
    _COMMON
    + """
if redis.call('EXISTS', P .. 'filling') == 1 then return false end
local left, removed = redis.call('GET', P .. 'staged'), 0
if left and left ~= current() then drop(left) end
redis.call('DEL', P .. 'staged')
for _, meta in ipairs(redis.call('KEYS', P .. '*:meta')) do
  local g = string.sub(meta, #P + 1, -6)
  for _, one in ipairs(ARGV) do
    for _, part in ipairs({'rows', 'states', 'accounts'}) do
      removed = removed + redis.call('HDEL', key(g, part), one)
    end
    redis.call('ZREM', key(g, 'persons'), one)
  end
end
return removed
"""
)

# ARGV: generation.
ABANDON: Final = (
    _COMMON
    + """
if redis.call('GET', P .. 'staged') == ARGV[1] then redis.call('DEL', P .. 'staged', P .. 'filling') end
if current() ~= ARGV[1] then drop(ARGV[1]) end
return 1
"""
)
