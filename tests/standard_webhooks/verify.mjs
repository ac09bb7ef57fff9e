// Reads [{secret, headers, body}, ...] from the file that is named, and prints, a line each, `ok` or
// why the library for receivers of Standard Webhooks refuses it.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

for (const { secret, headers, body } of JSON.parse(readFileSync(process.argv[2], "utf8"))) {
  try {
    new Webhook(secret).verify(body, headers);
    console.log("ok");
  } catch (error) {
    console.log(String(error.message));
  }
}
