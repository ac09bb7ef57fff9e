-- GETs random contacts.

local folder = debug.getinfo(1, "S").source:match("^@(.*)/") or "."
local contacts = dofile(folder .. "/contacts.lua")

local threads = 0
function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

local after_id

function init(args)
  contacts.load(args, thread_number)
  after_id = " HTTP/1.1\r\nHost: " .. contacts.host() .. "\r\nX-API-KEY: "
end

function request()
  local id, key = contacts.draw()
  return "GET /api/v1/contacts/" .. id .. after_id .. key .. "\r\n\r\n"
end

function done(summary, latency) contacts.report(summary, latency) end
