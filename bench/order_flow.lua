-- wrk script: POST /v2/orders as two accounts that trade with each other, so that every second order
-- fills and neither account drifts. Takes the keys file of `openvenue up` as its argument: two lines of
-- "key-id secret".
dofile("bench/report.lua")

local requests = {}
local count = 0

local function order(key_id, secret, side, price)
  local body = string.format(
    '{"symbol":"AMZN","qty":"1","side":"%s","type":"limit","time_in_force":"gtc","limit_price":"%s"}',
    side, price)
  return wrk.format("POST", "/v2/orders", {
    ["Content-Type"] = "application/json",
    ["APCA-API-KEY-ID"] = key_id,
    ["APCA-API-SECRET-KEY"] = secret,
  }, body)
end

function init(args)
  local keys = {}
  for line in io.lines(args[1]) do
    local key_id, secret = line:match("(%S+)%s+(%S+)")
    keys[#keys + 1] = { key_id, secret }
  end
  local first, second = keys[1], keys[2]
  for step = 0, 31 do
    local price = string.format("%.2f", 220 + step / 100)
    requests[#requests + 1] = order(first[1], first[2], "sell", price)
    requests[#requests + 1] = order(second[1], second[2], "buy", price)
    requests[#requests + 1] = order(second[1], second[2], "sell", price)
    requests[#requests + 1] = order(first[1], first[2], "buy", price)
  end
end

function request()
  count = count + 1
  return requests[(count - 1) % #requests + 1]
end
