-- GETs with the member's cookie.
request = function()
  return wrk.format("GET", nil, { ["Cookie"] = os.getenv("COOKIE") })
end
