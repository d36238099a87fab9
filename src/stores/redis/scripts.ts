/**
 * The scripts that the server runs. Each is atomic, takes the namespace's base name as its only key, and derives the
 * others from it (see `names.ts`); the hash tag in the base keeps them in one slot. Each ends with the namespace's
 * usage, so that a caller always knows it as of its own last operation.
 */

import { createHash } from "node:crypto";

/** A script and the digest by which the server remembers it. */
export interface Script {
  readonly source: string;
  readonly sha1: string;
}

/** Names, and the ways in and out of the indexes. Lua's `cjson` only reads here: it can't tell [] from {}. */
const PRELUDE = `
local base = KEYS[1]
local FACTS, ORDER, EXPIRY, USAGE = base .. 'facts', base .. 'order', base .. 'expiry', base .. 'usage'
local function value_of(key) return base .. 'value:' .. key end
local function tag_of(tag) return base .. 'tag:' .. tag end
local function decode(row)
  local ok, facts = pcall(cjson.decode, row)
  if ok and type(facts) == 'table' and type(facts.record) == 'table' then return facts end
  return { allocated = 0, record = { size = 0, tags = {} } }
end
local function count(facts, sign)
  redis.call('HINCRBY', USAGE, 'bytes', string.format('%d', sign * facts.record.size))
  redis.call('HINCRBY', USAGE, 'allocated', string.format('%d', sign * facts.allocated))
end
local function forget(key, row)
  local facts = decode(row)
  redis.call('HDEL', FACTS, key)
  redis.call('ZREM', ORDER, key)
  redis.call('ZREM', EXPIRY, key)
  for _, tag in ipairs(facts.record.tags) do redis.call('SREM', tag_of(tag), key) end
  count(facts, -1)
end
local function remember(key, row)
  local facts = decode(row)
  redis.call('HSET', FACTS, key, row)
  redis.call('ZADD', ORDER, 0, key)
  if type(facts.record.expiresAt) == 'number' then
    redis.call('ZADD', EXPIRY, string.format('%.0f', facts.record.expiresAt), key)
    redis.call('PEXPIREAT', value_of(key), string.format('%.0f', facts.record.expiresAt))
  else
    redis.call('PERSIST', value_of(key))
  end
  for _, tag in ipairs(facts.record.tags) do redis.call('SADD', tag_of(tag), key) end
  count(facts, 1)
end
local function idle(key)
  local seconds = redis.pcall('OBJECT', 'IDLETIME', value_of(key))
  return type(seconds) == 'number' and seconds or -1
end
local function accesses(key)
  local frequency = redis.pcall('OBJECT', 'FREQ', value_of(key))
  return type(frequency) == 'number' and frequency or 0
end
local function has_tag(row, wanted)
  for _, tag in ipairs(decode(row).record.tags) do if tag == wanted then return true end end
  return false
end
-- A flight's value is its fence, a space, and who claimed it.
local function fence_of(lock) return string.match(redis.call('GET', lock) or '', '^%S+') end
local function claimant_of(lock) return string.match(redis.call('GET', lock) or '', '%S+$') end
local function done(result)
  local usage = redis.call('HMGET', USAGE, 'bytes', 'allocated')
  return { result, redis.call('HLEN', FACTS), usage[1] or '0', usage[2] or '0' }
end
`;

function script(body: string): Script {
  const source = `${PRELUDE}${body}`;
  return { source, sha1: createHash("sha1").update(source).digest("hex") };
}

/**
 * Stores a value. ARGV: key, row, value, fence or '', deadline in the server's milliseconds. 1; 0 when the flight
 * was overtaken; -1 when the deadline has passed. The value comes first: a server without memory refuses it while
 * nothing has changed yet.
 */
export const PUT: Script = script(`
local key, row, value, fence, deadline = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local time = redis.call('TIME')
if tonumber(time[1]) * 1000 + tonumber(time[2]) / 1000 > tonumber(deadline) then return done(-1) end
if fence ~= '' and fence_of(base .. 'flight:' .. key) ~= fence then return done(0) end
redis.call('SET', value_of(key), value)
local old = redis.call('HGET', FACTS, key)
if old then forget(key, old) end
remember(key, row)
return done(1)
`);

/** Row and value of one moment. ARGV: key. */
export const READ: Script = script(`
return done({ redis.call('HGET', FACTS, ARGV[1]), redis.call('GET', value_of(ARGV[1])) })
`);

/** ARGV: key. Row, seconds without access or -1, logarithmic frequency of access; nothing when absent. */
export const INFO: Script = script(`
local key = ARGV[1]
local row = redis.call('HGET', FACTS, key)
if not row or redis.call('EXISTS', value_of(key)) == 0 then return done({}) end
return done({ row, idle(key), accesses(key) })
`);

/** Changes facts unless they changed meanwhile. ARGV: key, the row as it was, the new row. 1 or 0. */
export const AMEND: Script = script(`
local key = ARGV[1]
if redis.call('HGET', FACTS, key) ~= ARGV[2] or redis.call('EXISTS', value_of(key)) == 0 then return done(0) end
forget(key, ARGV[2])
remember(key, ARGV[3])
return done(1)
`);

/** ARGV: keys. How many there were. */
export const DELETE: Script = script(`
local found = 0
for _, key in ipairs(ARGV) do
  local gone = redis.call('UNLINK', value_of(key))
  local row = redis.call('HGET', FACTS, key)
  if row then
    found = found + gone
    forget(key, row)
  end
end
return done(found)
`);

/**
 * Removes entries that are as they were. ARGV: key, revision, key, revision, … For each 1 or 0.
 */
export const EVICT: Script = script(`
local results = {}
for index = 1, #ARGV, 2 do
  local key = ARGV[index]
  local row = redis.call('HGET', FACTS, key)
  local same = row and decode(row).record.revision == ARGV[index + 1]
  if same then
    redis.call('UNLINK', value_of(key))
    forget(key, row)
  end
  results[#results + 1] = same and 1 or 0
end
return done(results)
`);

/**
 * A piece of the entries in their order. ARGV: lower bound, upper bound (of ZRANGEBYLEX), how many to look at, 1 to
 * take out those whose value the server has dropped. How many were looked at, the last key looked at, then key, row,
 * idle seconds, frequency of each that is there.
 */
export const LIST: Script = script(`
local keys = redis.call('ZRANGEBYLEX', ORDER, ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local reply = { #keys, keys[#keys] or '' }
for _, key in ipairs(keys) do
  local row = redis.call('HGET', FACTS, key)
  if row and redis.call('EXISTS', value_of(key)) == 1 then
    reply[#reply + 1] = key
    reply[#reply + 1] = row
    reply[#reply + 1] = idle(key)
    reply[#reply + 1] = accesses(key)
  elseif row and ARGV[4] == '1' then
    forget(key, row)
  end
end
return done(reply)
`);

/**
 * Takes entries out whose time has come and whose value the server has dropped. ARGV: time, offset, at most.
 * How many were looked at, how many were taken out.
 */
export const EXPIRE: Script = script(`
local keys = redis.call('ZRANGEBYSCORE', EXPIRY, '-inf', ARGV[1], 'LIMIT', ARGV[2], ARGV[3])
local gone = 0
for _, key in ipairs(keys) do
  if redis.call('EXISTS', value_of(key)) == 0 then
    local row = redis.call('HGET', FACTS, key)
    redis.call('ZREM', EXPIRY, key)
    if row then forget(key, row) end
    gone = gone + 1
  end
end
return done({ #keys, gone })
`);

/** ARGV: tag, at most. How many carried the tag before, how many entries were looked at, how many were removed. */
export const DELETE_TAGGED: Script = script(`
local tag = ARGV[1]
local total = redis.call('SCARD', tag_of(tag))
local keys = redis.call('SRANDMEMBER', tag_of(tag), ARGV[2])
local removed = 0
for _, key in ipairs(keys) do
  redis.call('SREM', tag_of(tag), key)
  local row = redis.call('HGET', FACTS, key)
  if row and has_tag(row, tag) then
    removed = removed + redis.call('UNLINK', value_of(key))
    forget(key, row)
  end
end
return done({ total, #keys, removed })
`);

/** Empties the namespace by renaming its indexes. ARGV: a name for the old ones, the time. How many entries there were. */
export const CLEAR: Script = script(`
local trash = ARGV[1]
redis.call('UNLINK', USAGE)
local entries = redis.call('HLEN', FACTS) - redis.call('ZCOUNT', EXPIRY, '-inf', ARGV[2])
if redis.call('EXISTS', FACTS) == 1 then
  redis.call('RENAME', FACTS, base .. 'trash:facts:' .. trash)
  redis.pcall('RENAME', ORDER, base .. 'trash:order:' .. trash)
  redis.call('SADD', base .. 'trash', trash)
end
redis.call('UNLINK', EXPIRY)
return done(entries)
`);

/**
 * Frees values of what was cleared, unless there is a newer one under the key. ARGV: at most. How many are left to
 * be looked at, at least.
 */
export const DRAIN: Script = script(`
local trash = redis.call('SRANDMEMBER', base .. 'trash')
if not trash then return done(0) end
local facts, order = base .. 'trash:facts:' .. trash, base .. 'trash:order:' .. trash
local keys = redis.call('ZRANGE', order, 0, ARGV[1] - 1)
for _, key in ipairs(keys) do
  local row, newer = redis.call('HGET', facts, key), redis.call('HGET', FACTS, key)
  if not newer then redis.call('UNLINK', value_of(key)) end
  if row then
    for _, tag in ipairs(decode(row).record.tags) do
      if not newer or not has_tag(newer, tag) then redis.call('SREM', tag_of(tag), key) end
    end
    redis.call('HDEL', facts, key)
  end
  redis.call('ZREM', order, key)
end
if #keys == 0 then
  redis.call('UNLINK', facts, order)
  redis.call('SREM', base .. 'trash', trash)
end
return done(redis.call('SCARD', base .. 'trash'))
`);

/**
 * Takes the right to compute a key. ARGV: key, lease in milliseconds, a name for the claimant without spaces. The
 * fencing number, or '' when another has it. Numbers grow with the server's clock, so that they do so over a loss of
 * its memory as well.
 */
export const CLAIM: Script = script(`
local lock, last = base .. 'flight:' .. ARGV[1], base .. 'fence'
if redis.call('EXISTS', lock) == 1 then return done('') end
local time = redis.call('TIME')
local number = tonumber(time[1]) * 1000000 + tonumber(time[2])
local fence = string.format('%.0f', math.max(number, (tonumber(redis.call('GET', last)) or 0) + 1))
redis.call('SET', last, fence)
redis.call('SET', lock, fence .. ' ' .. ARGV[3], 'PX', ARGV[2])
return done(fence)
`);

/** ARGV: key, claimant, lease. 1 while it is still this one's. */
export const RENEW: Script = script(`
local lock = base .. 'flight:' .. ARGV[1]
if claimant_of(lock) ~= ARGV[2] then return done(0) end
return done(redis.call('PEXPIRE', lock, ARGV[3]))
`);

/** ARGV: key, claimant. */
export const RELEASE: Script = script(`
local lock = base .. 'flight:' .. ARGV[1]
if claimant_of(lock) == ARGV[2] then redis.call('DEL', lock) end
return done(0)
`);

/** Nothing but the usage. */
export const COUNT: Script = script(`
return done(0)
`);
