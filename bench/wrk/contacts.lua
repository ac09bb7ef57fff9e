-- What the scripts for wrk share: the contacts to ask for, and one line of JSON at the end.
-- Arguments of a script, after `--`: the file of ids (one a line, all of the same length) and the
-- file of API keys (one a line). Contact i belongs to the key i % keys.

local contacts = {}

local ids, width, count
local keys = {}

local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

-- `thread` makes each thread draw other contacts.
function contacts.load(args, thread)
  ids = read(assert(args[1], "the file of ids is missing"))
  width = assert(ids:find("\n", 1, true), "there are no ids")
  count = #ids / width
  assert(count == math.floor(count), "the ids differ in length")
  for key in read(assert(args[2], "the file of keys is missing")):gmatch("[^\n]+") do
    keys[#keys + 1] = key
  end
  math.randomseed(os.time() * 64 + (thread or 0))
  for _ = 1, 16 do math.random() end
end

-- The id and the API key of a contact drawn at random.
function contacts.draw()
  local i = math.random(0, count - 1)
  return ids:sub(i * width + 1, i * width + width - 1), keys[i % #keys + 1]
end

function contacts.host() return wrk.host .. ":" .. wrk.port end

function contacts.report(summary, latency)
  local errors = summary.errors
  print(string.format(
    '{"requests":%d,"duration_s":%.6f,"errors":%d,"socket_errors":%d,"p50_us":%d,"p99_us":%d}',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end

return contacts
