"""The replay part of the benchmark: the projections folded anew, beside a bare read of the log."""

import json
import shutil
import time

import report
from peers import Failure, run

WAYS = ("read", "decode")


def bare(options, server, way):
    """The embedded log read by a program of its own and thrown away."""
    said = json.loads(run([options.build / "bench_replay", way, "--log",
                           server.folder / "data" / "log"]))
    return {**said, "p50_us": 0, "p99_us": 0, "errors": 0}


def rebuild(server, records):
    """From the start of the process, without projections, until it is ready."""
    shutil.rmtree(server.folder / "data" / "projections")
    begin = time.monotonic()
    server.start()
    seconds = time.monotonic() - begin
    peak = server.memory_mib()["peak_mib"]
    if server.stop() != 0:
        raise Failure("contactd didn't end well")
    return {"records": records, "seconds": seconds, "rate": records / seconds, "peak_mib": peak,
            "p50_us": 0, "p99_us": 0, "errors": 0}


def measure(bench):
    options = bench.options
    server = bench.contactd(options.contacts)
    changes = max(options.replay_events - options.contacts, 0)
    bench.say(f"replay: {changes} PATCHes of several kinds, half of them on a tenth of the "
              "contacts")
    server.thaw()
    bench.patch_some(server, 0, options.contacts, changes, 256, "--varied")
    if server.stop() != 0:
        raise Failure("contactd didn't end well")
    for number in range(options.rounds):
        bench.say(f"replay: round {number + 1} of {options.rounds}")
        for way in WAYS:
            window = bare(options, server, way)
            bench.samples.add("replay", way, 1, window)
            bench.say(f"  {way:<34}{window['rate']:>9,.0f} events/s")
        window = rebuild(server, window["records"])
        bench.samples.add("replay", "rebuild", 1, window)
        bench.say(f"  {'rebuild':<34}{window['rate']:>9,.0f} events/s, at most "
                  f"{window['peak_mib']:.0f} MiB")
    bench.peers.remove(server)
    shutil.rmtree(server.folder)
    judge(bench.samples, bench.aims)


def judge(samples, aims):
    rates = {name: samples.median("replay", name, 1, "rate") for name in (*WAYS, "rebuild")}
    aims.check("replay: rate over that of reading the log and throwing it away",
               report.ratio(rates["rebuild"], rates["read"]), 0.5, least=True)
    aims.check("replay: events a second", rates["rebuild"], 300_000, least=True)
