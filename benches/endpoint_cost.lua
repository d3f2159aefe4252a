-- Makes wrk post the requests of a file in turn, one request per line: wrk -s endpoint_cost.lua URL -- FILE
local requests, next_one = {}, 0

function init(args)
  local headers = { ["Content-Type"] = "application/alto-endpointcostparams+json" }
  for line in io.lines(args[1]) do
    table.insert(requests, wrk.format("POST", wrk.path, headers, line))
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end
