-- What wrk asks, by KIND: list, open, send, mix (one in ten is a send), or get (of TARGET). COOKIE and CSRF are the
-- member's; opens go to any of the NEWEST messages. Prints what it measured as one line of JSON.
local kind, csrf = os.getenv("KIND"), os.getenv("CSRF")
local newest = tonumber(os.getenv("NEWEST"))
local read = { ["Cookie"] = os.getenv("COOKIE") }
local write = { ["Cookie"] = os.getenv("COOKIE"), ["Content-Type"] = "application/x-www-form-urlencoded" }
local text = string.rep("Please+read+this+before+your+round.+", 12)
local prefix = os.getenv("PREFIX")
local count = 0
local list, target

local function send()
  count = count + 1
  local key = prefix .. string.format("%024x", count)
  local body = "csrf=" .. csrf .. "&key=" .. key .. "&subject=Message+" .. count .. "&body=" .. text
  return wrk.format("POST", "/messages", write, body)
end

local kinds = {
  list = function() return list end,
  get = function() return target end,
  open = function() return wrk.format("GET", "/messages/" .. math.random(1, newest), read) end,
  send = send,
  mix = function() if math.random(1, 10) == 1 then return send() end return list end,
}
math.randomseed(tonumber(prefix, 16))
request = kinds[kind]

-- Not before: wrk knows the host from here on.
function init()
  list = wrk.format("GET", "/messages", read)
  target = wrk.format("GET", os.getenv("TARGET"), read)
end

function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    '\n{"requests":%d,"microseconds":%d,"p50":%d,"p99":%d,"refused":%d,"broken":%d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
