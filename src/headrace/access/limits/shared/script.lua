-- Counts what a gateway reports, then lets its calls in or not. See wire.py for what comes and goes.
--
-- KEYS[1]  what all names begin with; its braces keep all of them on one node of a cluster.
-- Names:   KEYS[1]:w:COUNTER    hash: h newest slot, t total, 0…120 amounts by slot modulo 121
--          KEYS[1]:s:COUNTER:P  US dollars of the period P
--          KEYS[1]:c:COUNTER    sorted set: leases of running calls by when they end
--          KEYS[1]:b:GATEWAY    hash: the gateway's last batch and what was answered
--          KEYS[1]:gateways     sorted set: gateways by when they count as gone

local SLOTS, SLOT_S = 121, 0.5
local WINDOW_KEPT_S, SPEND_KEPT_S, BATCH_KEPT_S = 130, 70 * 86400, 86400

local prefix = KEYS[1]
local now, gateway, batch, beats, beat_s, windows, spends, held, left, calls =
  unpack(cmsgpack.unpack(ARGV[1]))
if now <= 0 then
  local time = redis.call('TIME')
  now = tonumber(time[1]) + tonumber(time[2]) / 1000000
end
local slot = math.floor(now / SLOT_S)

-- A batch that is sent again, because its answer was lost, has happened already.
local last = prefix .. ':b:' .. gateway
local stored = redis.call('HMGET', last, 'batch', 'answer')
if stored[1] == tostring(batch) then
  return stored[2]
end

-- A window as it is now; nothing is written, so that a refusal costs no write.
local function look(name)
  local window = {key = prefix .. ':w:' .. name, total = 0, gone = {}, newest = slot, aged = true}
  local got = redis.call('HMGET', window.key, 'h', 't')
  local head = tonumber(got[1])
  if not head then
    return window
  end
  window.newest = math.max(head, slot)
  if slot - head >= SLOTS then
    window.over = true
    return window
  end
  window.total = tonumber(got[2])
  window.aged = slot > head
  if slot > head then
    local fields = {}
    for each = head + 1, slot do
      fields[#fields + 1] = each % SLOTS
    end
    for i, amount in ipairs(redis.call('HMGET', window.key, unpack(fields))) do
      if amount then
        window.total = window.total - tonumber(amount)
        window.gone[#window.gone + 1] = fields[i]
      end
    end
  end
  return window
end

local function add(window, at, amount)
  if window.over then
    redis.call('DEL', window.key)
  elseif #window.gone > 0 then
    redis.call('HDEL', window.key, unpack(window.gone))
  end
  if at > window.newest - SLOTS then
    local holds = redis.call('HINCRBY', window.key, at % SLOTS, amount)
    window.total = window.total + amount
    if holds < 0 then
      -- What was reserved is not here any more: this Redis was emptied meanwhile.
      redis.call('HSET', window.key, at % SLOTS, 0)
      window.total = window.total - holds
    end
  end
  redis.call('HSET', window.key, 'h', window.newest, 't', window.total)
  if window.aged then
    redis.call('EXPIRE', window.key, WINDOW_KEPT_S)
  end
end

-- When so much will have left the window, from now.
local function wait(window, needed)
  local amounts, flat = {}, redis.call('HGETALL', window.key)
  for i = 1, #flat, 2 do
    amounts[flat[i]] = tonumber(flat[i + 1])
  end
  for each = slot - SLOTS + 1, window.newest do
    needed = needed - (amounts[tostring(each % SLOTS)] or 0)
    if needed <= 0 then
      return (each + SLOTS) * SLOT_S - now
    end
  end
  return SLOTS * SLOT_S
end

local function spend(name, period, usd)
  local key = prefix .. ':s:' .. name .. ':' .. period
  local is_new = redis.call('EXISTS', key) == 0
  if tonumber(redis.call('INCRBYFLOAT', key, string.format('%.12f', usd))) < 0 then
    redis.call('SET', key, '0', 'KEEPTTL')
  end
  if is_new then
    redis.call('EXPIRE', key, SPEND_KEPT_S)
  end
end

local function running(name)
  local key = prefix .. ':c:' .. name
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now)
  return redis.call('ZCARD', key)
end

local function hold(name, lease)
  local key = prefix .. ':c:' .. name
  redis.call('ZADD', key, now + beat_s * 3, lease)
  redis.call('EXPIRE', key, math.ceil(beat_s * 6))
end

for _, each in ipairs(windows) do
  local at = each[2]
  if at < 0 or at > slot then
    at = slot
  end
  add(look(each[1]), at, each[3])
end
for _, each in ipairs(spends) do
  spend(each[1], each[2], each[3])
end
for _, each in ipairs(held) do
  hold(each[1], each[2])
end
for _, each in ipairs(left) do
  redis.call('ZREM', prefix .. ':c:' .. each[1], each[2])
end

-- {slot, totals of requests, totals of tokens, refusals}; a refusal is {kind, which, used, wait}.
local function answer(call)
  local tokens, usd, lease, requests, rates, places, budgets = unpack(call)
  local refused, asked, counted = {}, {}, {}
  local function refuse(kind, which, used, seconds)
    refused[#refused + 1] = {kind, which, used, seconds}
  end
  for i, each in ipairs(requests) do
    local window = look(each[1])
    asked[i] = window
    if window.total >= each[2] then
      refuse(0, i - 1, window.total, wait(window, window.total + 1 - each[2]))
    end
  end
  for i, each in ipairs(rates) do
    local window = look(each[1])
    counted[i] = window
    if window.total + tokens > each[2] then
      local over = window.total + tokens - each[2]
      refuse(1, i - 1, window.total, tokens > each[2] and -1 or wait(window, over))
    end
  end
  for i, each in ipairs(places) do
    local count = running(each[1])
    if count >= each[2] then
      refuse(2, i - 1, count, 0)
    end
  end
  for i, each in ipairs(budgets) do
    local spent = tonumber(redis.call('GET', prefix .. ':s:' .. each[1] .. ':' .. each[2]) or '0')
    if spent >= each[3] or spent + usd > each[3] then
      refuse(3, i - 1, spent, usd > each[3] and -1 or 0)
    end
  end
  if #refused > 0 then
    return {slot, {}, {}, refused}
  end
  local asked_totals, counted_totals = {}, {}
  for i, window in ipairs(asked) do
    add(window, slot, 1)
    asked_totals[i] = window.total
  end
  for i, window in ipairs(counted) do
    add(window, slot, tokens)
    counted_totals[i] = window.total
  end
  for _, each in ipairs(places) do
    hold(each[1], lease)
  end
  if usd > 0 then
    for _, each in ipairs(budgets) do
      spend(each[1], each[2], usd)
    end
  end
  return {slot, asked_totals, counted_totals, {}}
end

local answers = {}
for i, call in ipairs(calls) do
  answers[i] = answer(call)
end
local count = 0
if beats then
  local gateways = prefix .. ':gateways'
  redis.call('ZADD', gateways, now + beat_s * 3, gateway)
  redis.call('ZREMRANGEBYSCORE', gateways, '-inf', now)
  redis.call('EXPIRE', gateways, math.ceil(beat_s * 6))
  count = redis.call('ZCARD', gateways)
end
local packed = cmsgpack.pack({count, answers})
redis.call('HSET', last, 'batch', tostring(batch), 'answer', packed)
if beats then
  redis.call('EXPIRE', last, BATCH_KEPT_S)
end
return packed
