-- wrk script: the flow of order_flow.lua, ORDERS of one account in each request. Takes the keys file and
-- the number of orders a batch as its arguments.
dofile("bench/report.lua")

local requests = {}
local count = 0

local function batch(key, side, orders, first)
  local items = {}
  for number = 0, orders - 1 do
    items[#items + 1] = string.format(
      '{"symbol":"AMZN","qty":"1","side":"%s","type":"limit","time_in_force":"gtc","limit_price":"%.2f"}',
      side, 220 + (first + number) % 128 / 100)
  end
  return wrk.format("POST", "/v2/orders:batch", {
    ["Content-Type"] = "application/json",
    ["APCA-API-KEY-ID"] = key[1],
    ["APCA-API-SECRET-KEY"] = key[2],
  }, '{"orders":[' .. table.concat(items, ",") .. "]}")
end

function init(args)
  local keys = {}
  for line in io.lines(args[1]) do
    local key_id, secret = line:match("(%S+)%s+(%S+)")
    keys[#keys + 1] = { key_id, secret }
  end
  local first, second = keys[1], keys[2]
  local orders = tonumber(args[2])
  for step = 0, 3 do
    requests[#requests + 1] = batch(first, "sell", orders, step)
    requests[#requests + 1] = batch(second, "buy", orders, step)
    requests[#requests + 1] = batch(second, "sell", orders, step)
    requests[#requests + 1] = batch(first, "buy", orders, step)
  end
end

function request()
  count = count + 1
  return requests[(count - 1) % #requests + 1]
end
