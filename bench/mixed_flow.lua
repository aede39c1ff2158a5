-- wrk script: the flow of order_flow.lua, and after every four orders one account's closed orders, which
-- the API reads from the database. That account, the keys file's third line, enters none meanwhile.
dofile("bench/order_flow.lua")

local enter, read_keys = request, init
local history
local count = 0

function init(args)
  read_keys(args)
  local keys = {}
  for line in io.lines(args[1]) do
    keys[#keys + 1] = line
  end
  local key_id, secret = keys[3]:match("(%S+)%s+(%S+)")
  history = wrk.format("GET", "/v2/orders?status=closed&limit=50", {
    ["APCA-API-KEY-ID"] = key_id,
    ["APCA-API-SECRET-KEY"] = secret,
  })
end

function request()
  count = count + 1
  if count % 5 == 0 then
    return history
  end
  return enter()
end
