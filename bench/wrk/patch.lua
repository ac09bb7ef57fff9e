-- PATCHes random contacts in the manner of the reference's example, with new values every time.

local folder = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local contacts = dofile(folder .. "/contacts.lua")

local threads = 0
function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local after_id, salt
local changes = 0

function init(args)
  contacts.load(args, thread_number)
  after_id = " HTTP/1.1\r\nHost: " .. contacts.host() .. "\r\nX-API-KEY: "
  salt = string.format("%d-%d-", os.time() % 10000000, thread_number or 0)
end

function request()
  local id, key = contacts.draw()
  changes = changes + 1
  local value = salt .. changes
  local body = '{"first_name": "Janet ' .. value .. '", "job_title": "CTO ' .. value ..
    '", "tags": ["vip", "speaker"]}'
  return "PATCH /api/v1/contacts/" .. id .. after_id .. key ..
    "\r\nContent-Type: application/json\r\nContent-Length: " .. #body .. "\r\n\r\n" .. body
end

function done(summary, latency) contacts.report(summary, latency) end
