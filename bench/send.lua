-- Sends messages, each with a key and a subject of its own.
math.randomseed(os.time())
local prefix = string.format("%08x", math.random(0, 0x7fffffff))
local count = 0
local csrf = os.getenv("CSRF")
local headers = {
  ["Cookie"] = os.getenv("COOKIE"),
  ["Content-Type"] = "application/x-www-form-urlencoded",
}
local text = string.rep("Please+read+this+before+your+round.+", 12)
request = function()
  count = count + 1
  local key = prefix .. string.format("%024x", count)
  local body = "csrf=" .. csrf .. "&key=" .. key .. "&subject=Message+" .. count .. "&body=" .. text
  return wrk.format("POST", "/messages", headers, body)
end
