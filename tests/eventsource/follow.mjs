// Follows an organization's events with npm's eventsource until `count` have come, and prints the id
// of each on a line: follow.mjs PORT_FILE KEY COUNT. The server's port is read from the file whenever
// the library connects, since a server that was restarted listens elsewhere.
import { readFileSync } from "node:fs";
import { EventSource } from "eventsource";

const [portFile, key, count] = [process.argv[2], process.argv[3], Number(process.argv[4])];
const types = ["created", "updated", "deleted"].map((kind) => `contactd.contact.${kind}.v1`);
let seen = 0;

function connect(address, options) {
  const url = new URL(address);
  url.port = readFileSync(portFile, "utf8").trim();
  const id = options.headers["Last-Event-ID"];
  if (id) console.error(`connects after ${id}`);
  return fetch(url, { ...options, headers: { ...options.headers, "X-API-KEY": key } });
}

// It is left to the library to connect again: whatever the server does, it must not be the end.
const source = new EventSource("http://127.0.0.1/api/v1/events", { fetch: connect });
for (const type of types) {
  source.addEventListener(type, (event) => {
    console.log(JSON.parse(event.data).id);
    if (++seen === count) process.exit(0);
  });
}
source.onerror = (event) => {
  if (source.readyState !== EventSource.CLOSED) return;
  console.error(`gave up: ${event.message}`);
  process.exit(1);
};
