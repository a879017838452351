-- What wrk asks, by KIND: list, open, send, mix (one in ten is a send), or get (of TARGET). Members take turns: COOKIES and
-- CSRFS are theirs, with spaces between them. Opens go to any of the NEWEST messages. Prints what it measured as one line of JSON.
local kind = os.getenv("KIND")
local newest = tonumber(os.getenv("NEWEST"))
local members = {}
for cookie in os.getenv("COOKIES"):gmatch("%S+") do
  table.insert(members, {
    read = { ["Cookie"] = cookie },
    write = { ["Cookie"] = cookie, ["Content-Type"] = "application/x-www-form-urlencoded" },
  })
end
local signed = 0
for csrf in os.getenv("CSRFS"):gmatch("%S+") do
  signed = signed + 1
  members[signed].csrf = csrf
end
local text = string.rep("Please+read+this+before+your+round.+", 12)
local prefix = os.getenv("PREFIX")
local count = 0
local turn = 0

local function member()
  turn = turn % #members + 1
  return members[turn]
end

local function send()
  count = count + 1
  local key = prefix .. string.format("%024x", count)
  local sender = member()
  local body = "csrf=" .. sender.csrf .. "&key=" .. key .. "&subject=Message+" .. count .. "&body=" .. text
  return wrk.format("POST", "/messages", sender.write, body)
end

local kinds = {
  list = function() return member().list end,
  get = function() return member().target end,
  open = function() return wrk.format("GET", "/messages/" .. math.random(1, newest), member().read) end,
  send = send,
  mix = function() if math.random(1, 10) == 1 then return send() end return member().list end,
}
math.randomseed(tonumber(prefix, 16))
request = kinds[kind]

-- Not before: wrk knows the host from here on.
function init()
  for _, each in ipairs(members) do
    each.list = wrk.format("GET", "/messages", each.read)
    each.target = wrk.format("GET", os.getenv("TARGET"), each.read)
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
