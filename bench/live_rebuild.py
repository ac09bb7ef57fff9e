"""The part `rebuild`: PATCHes at 64 connections while the projections are built anew."""

import threading
import time

import peers
import report
from peers import Failure

CONNECTIONS = 64
LOOK_INTERVAL_S = 0.05


class Rebuilding:
    """One rebuild after the other, from the first to the end of the block."""

    def __init__(self, server):
        self.server, self.done, self.failure = server, 0, None
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._ask("POST", 202)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        self.thread.join()
        if self.failure:
            raise Failure(f"the rebuild failed: {self.failure}")

    def _ask(self, method, status):
        answer = peers.ask(self.server.address, method, "/admin/v1/rebuild",
                           self.server.admin_key)
        return peers.expect(status, answer, f"{method} /admin/v1/rebuild")

    def _run(self):
        while True:
            time.sleep(LOOK_INTERVAL_S)
            status = self._ask("GET", 200)
            if status["state"] == "running":
                continue
            if status["state"] != "done":
                self.failure = status["error"]
                return
            self.done += 1
            if self.stop.is_set():
                return
            self._ask("POST", 202)


def measure(bench):
    server = bench.contactd(bench.options.contacts)
    load = bench.load("patch.lua", server, CONNECTIONS)
    for number in range(bench.options.rounds):
        bench.say(f"rebuild: round {number + 1} of {bench.options.rounds}")
        for when in ("alone", "during a rebuild"):
            if when == "alone":
                sample = bench.window([server], load)
            else:
                server.thaw()
                with Rebuilding(server) as rebuilding:
                    sample = load(bench.options.seconds)
                    # A server that is frozen can't end its rebuild.
                bench.say(f"  {rebuilding.done} rebuilds")
                server.settle()
                server.freeze()
            bench.samples.add("live_rebuild", when, CONNECTIONS, sample)
            bench.say(f"  PATCH   {CONNECTIONS} {when:<28}{sample['rate']:>9,.0f}/s")
    bench.discard(server)
    rates = [bench.samples.median("live_rebuild", when, CONNECTIONS, "rate")
             for when in ("during a rebuild", "alone")]
    bench.aims.check("PATCH at 64 connections while the projections are rebuilt, as a ratio to "
                     "before", report.ratio(*rates), 0.5, least=True)
