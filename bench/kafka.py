"""The Kafka part of the benchmark: contactd on a real broker, beside bare loops on the same one."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request

import peers
import report
from peers import Failure, run

BROKER = pathlib.Path(__file__).resolve().parents[1] / "tests" / "kafka" / "broker.py"
TOPIC = "contacts.events"
LOOPS = (1, 64, 256)  # records a transaction
START_WAIT_S = 90


class Broker:
    """One broker, for as long as the benchmark runs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="kafka-", dir=folder))
        self.process = None
        try:
            run([sys.executable, BROKER, "available"])
            self.bootstrap = run([sys.executable, BROKER, "prepare", self.folder]).strip()
            with (self.folder / "bench.log").open("wb") as log:
                self.process = subprocess.Popen(
                    [sys.executable, str(BROKER), "exec", str(self.folder), "1"], stdout=log,
                    stderr=log, stdin=subprocess.DEVNULL,
                    preexec_fn=peers.die_with_parent(9))
            run([sys.executable, BROKER, "wait", self.folder], timeout=START_WAIT_S)
        except BaseException:
            self.stop()
            raise

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def loop(build, broker, records, seconds):
    """A bare loop of transactions of so many records, each read back."""
    return json.loads(run([build / "bench_kafka", "commit", "--bootstrap", broker.bootstrap,
                           "--topic", f"bench.loop.{records}", "--records", records,
                           "--seconds", seconds]))


class KafkaContactd(peers.Contactd):
    """A contactd whose log is a topic of the broker."""

    def __init__(self, binary, folder, flags, broker):
        self.bootstrap = broker.bootstrap
        super().__init__("contactd on Kafka", binary, folder, flags,
                         ["--log", "kafka", "--kafka-bootstrap", broker.bootstrap,
                          "--kafka-topic", TOPIC, "--kafka-create-topic", "--kafka-partitions", "1",
                          "--kafka-replication", "1", "--kafka-min-insync", "1"])

    def metrics(self):
        """The sums and counts of the histograms that say where a change's time goes."""
        with urllib.request.urlopen(f"http://{self.address}/metrics", timeout=60) as answer:
            text = answer.read().decode()
        found = {}
        for name in ("contactd_batch_commands", "contactd_log_append_seconds",
                     "contactd_fold_seconds"):
            for part in ("sum", "count"):
                match = re.search(rf"^{name}_{part} (\S+)$", text, re.MULTILINE)
                found[name, part] = float(match.group(1)) if match else 0.0
        return found


def spent(before, after, window):
    """Where the time of the window's changes went: milliseconds of a batch, and of a request."""
    def of(name, part):
        return after[name, part] - before[name, part]

    batches = of("contactd_batch_commands", "count") or 1
    append = of("contactd_log_append_seconds", "sum") / batches * 1000
    fold = of("contactd_fold_seconds", "sum") / batches * 1000
    return {"commands_a_batch": of("contactd_batch_commands", "sum") / batches,
            "append_ms": append, "fold_ms": fold, "request_ms": window["p50_us"] / 1000}


def print_spent(rows):
    if not rows:
        return
    print("\nWhere the time of a PATCH on Kafka goes: a batch's transaction (append), its way back "
          "and fold,\nand the whole of a request; what the first two don't explain, it waited for "
          "a batch before its own\n")
    print(f"  {'connections':>11}{'commands a batch':>18}{'append ms':>11}{'fold ms':>9}"
          f"{'request ms':>12}")
    for connections, row in rows.items():
        print(f"  {connections:>11}{row['commands_a_batch']:>18.1f}{row['append_ms']:>11.2f}"
              f"{row['fold_ms']:>9.2f}{row['request_ms']:>12.2f}")


def judge(samples, aims):
    patch = samples.median
    aims.check("Kafka, 1 connection: median latency, over a bare loop's of one record",
               report.ratio(patch("kafka", "contactd", 1, "p50_us"),
                            patch("kafka", "loop 1", 1, "p50_us")), 1.5)
    for records in LOOPS[1:]:
        aims.check(f"Kafka, 256 connections: rate, over a bare loop's of {records} records",
                   report.ratio(patch("kafka", "contactd", 256, "rate"),
                                patch("kafka", f"loop {records}", 256, "rate")), 0.7, least=True)


def measure_speed(bench, broker, server):
    """Windows of contactd and of the loops, in turn. Returns where contactd's time went."""
    options, where = bench.options, {}
    for number in range(options.rounds):
        bench.say(f"kafka: round {number + 1} of {options.rounds}")
        for count in options.connections:
            measure = bench.load("patch.lua", server, count)
            measure(options.warmup)
            before = server.metrics()
            window = measure(options.seconds)
            where[count] = spent(before, server.metrics(), window)
            bench.samples.add("kafka", "contactd", count, window)
            bench.say(f"  PATCH {count:>4} contactd on Kafka           {window['rate']:>9,.0f}/s")
        for records in LOOPS:
            window = loop(options.build, broker, records, options.seconds)
            # Beside the windows that the aims compare it with.
            bench.samples.add("kafka", f"loop {records}", 1 if records == 1 else 256, window)
            bench.say(f"  a bare loop, {records:>3} a transaction      {window['rate']:>9,.0f}/s")
    return where


def measure_rebuild(bench, broker, server):
    """The time to fold the whole topic anew, beside the time to read it and throw it away."""
    options = bench.options
    missing = options.kafka_events - options.contacts
    if missing > 0:
        bench.say(f"kafka: {missing} PATCHes more")
        bench.patch_some(server, 0, options.contacts, missing, 256)
    if server.stop() != 0:
        raise Failure("contactd on Kafka didn't end well")
    times = {"read": [], "rebuild": []}
    for _ in range(options.rounds):
        said = json.loads(run([options.build / "bench_kafka", "read", "--bootstrap",
                               broker.bootstrap, "--topic", TOPIC]))
        times["read"].append(said["seconds"])
        shutil.rmtree(server.folder / "data" / "projections", ignore_errors=True)
        begin = time.monotonic()
        server.start()
        times["rebuild"].append(time.monotonic() - begin)
        server.stop()
        bench.say(f"  {said['records']} records: read in {times['read'][-1]:.1f} s, folded anew in "
                  f"{times['rebuild'][-1]:.1f} s")
    for name, values in times.items():
        for value in values:
            window = {"seconds": value, "rate": said["records"] / value, "p50_us": 0, "p99_us": 0,
                      "errors": 0}
            bench.samples.add("rebuild", name, 1, window)
    median = bench.samples.median
    bench.aims.check("Kafka: time to fold the topic anew, over the time to read it",
                     report.ratio(median("rebuild", "rebuild", 1, "seconds"),
                                  median("rebuild", "read", 1, "seconds")), 2)


def measure(bench):
    """All of it; the broker and its data are gone afterwards."""
    options = bench.options
    bench.say("Kafka: starting a broker")
    broker = Broker(bench.folder)
    try:
        server = KafkaContactd(options.contactd, bench.folder / "contactd-kafka", [], broker)
        bench.peers.append(server)
        server.seed(options.build / "bench_seed", options.contacts, options.organizations)
        server.settle()
        where = measure_speed(bench, broker, server)
        judge(bench.samples, bench.aims)
        measure_rebuild(bench, broker, server)
        bench.peers.remove(server)
        return where
    finally:
        broker.stop()
