-- wrk script: POST /v2/orders as two accounts that trade with each other, so that every second order
-- fills and neither account drifts. Takes the keys file of `openvenue up` as its argument: two lines of
-- "key-id secret". Prints one line of JSON at the end.
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

function done(summary, latency, _)
  print(string.format(
    'JSON {"requests":%d,"seconds":%.6f,"p50_us":%d,"p99_us":%d,"p999_us":%d,"max_us":%d,'
      .. '"non_2xx":%d,"socket_errors":%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    latency:percentile(99.9), latency.max, summary.errors.status,
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.timeout))
end
