"""The benchmark: contactd beside its peers, interleaved, with the aims and what became of them.

    python3 bench/run.py --build build/pgo [--only speed,get,history,rebuild,replay,...]

README.md says what is measured and how to read it.
"""

import argparse
import json
import os
import pathlib
import platform
import shlex
import shutil
import signal
import statistics
import sys
import tempfile
import time

sys.dont_write_bytecode = True

import kafka  # noqa: E402
import live_rebuild  # noqa: E402
import peers  # noqa: E402
import rebuild  # noqa: E402
import report  # noqa: E402
from peers import Failure  # noqa: E402

PARTS = ("speed", "get", "memory", "scale", "history", "rebuild", "replay", "kafka")
QUICK = {"contacts": 2000, "many": 5000, "few": 500, "history_events": 100, "history_young": 640,
         "kafka_events": 4000, "replay_events": 6000,
         "rounds": 1, "seconds": 1, "warmup": 1, "disk_records": 200}
OLD_CONTACTS = 64  # as many as connections, so that no two changes of one contact meet


def options_of(arguments):
    parser = argparse.ArgumentParser(description="Measures contactd beside its peers.")
    add = parser.add_argument
    add("--build", default="build/pgo", type=pathlib.Path, help="where the programs are")
    add("--only", default=",".join(PARTS), help="parts, comma-separated (default: %(default)s)")
    add("--connections", default="1,16,64,256", help="of the speed part (default: %(default)s)")
    add("--rounds", default=3, type=int, help="of each measurement (default: %(default)s)")
    add("--seconds", default=5, type=int, help="of a window (default: %(default)s)")
    add("--warmup", default=1, type=int, help="seconds before a window (default: %(default)s)")
    add("--contacts", default=100_000, type=int, help="of speed and get (default: %(default)s)")
    add("--organizations", default=100, type=int, help="(default: %(default)s)")
    add("--many", default=1_000_000, type=int, help="contacts of memory (default: %(default)s)")
    add("--few", default=10_000, type=int, help="contacts of scale (default: %(default)s)")
    add("--history-events", default=10_000, type=int,
        help="behind a contact with a long history (default: %(default)s)")
    add("--history-young", default=6400, type=int,
        help="how many contacts with 10 events (default: %(default)s)")
    add("--replay-events", default=1_000_000, type=int,
        help="of the log that is folded anew (default: %(default)s)")
    add("--kafka-events", default=1_000_000, type=int,
        help="of the topic that is folded anew (default: %(default)s)")
    add("--disk-records", default=3000, type=int, help="of (b) (default: %(default)s)")
    add("--contactd", type=pathlib.Path, help="the binary (default: contactd in --build)")
    add("--contactd-flags", default="", help="more flags for `contactd serve`")
    add("--work", type=pathlib.Path, help="folder for the data, on the disk to measure")
    add("--quick", action="store_true", help="tiny sizes: shows that it works, measures nothing")
    options = parser.parse_args(arguments)
    if options.quick:
        vars(options).update(QUICK)
    options.only = options.only.split(",")
    options.connections = [int(count) for count in options.connections.split(",")]
    unknown = set(options.only) - set(PARTS)
    if unknown:
        parser.error(f"there is no part {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    if options.history_young < OLD_CONTACTS:
        parser.error(f"--history-young is at least {OLD_CONTACTS}")
    options.build = options.build.resolve()
    options.contactd = (options.contactd or options.build / "contactd").resolve()
    return options


class Bench:
    """The peers that run, the samples so far, and who may run at a time."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.home = options.build.parent / "bench"
        self.samples, self.aims = report.Samples(), report.Aims()
        self.memory, self.not_run, self.peers = [], {}, []
        self.kafka_time = {}
        self.threads_of_a = None

    def say(self, text):
        print(text, flush=True)

    def keep(self, peer):
        self.peers.append(peer)
        peer.freeze()
        return peer

    def drop(self, peer):
        self.peers.remove(peer)
        return peer.stop()

    def close(self):
        for peer in reversed(self.peers):
            peer.stop()
        self.peers.clear()

    def window(self, running, measure):
        """Measures while only `running` runs: every other peer is frozen by SIGSTOP.

        What the window left in the page cache is written out before the next begins.
        """
        for peer in running:
            peer.thaw()
        try:
            if self.options.warmup > 0:
                measure(self.options.warmup)
            return measure(self.options.seconds)
        finally:
            for peer in running:
                peer.freeze()
            os.sync()

    def load(self, script, server, connections, lists=None):
        ids, keys = lists or (server.ids, server.keys)
        return lambda seconds: peers.wrk(script, server.address, ids, keys, connections, seconds)

    def contactd(self, contacts):
        """A new contactd with so many contacts, settled and frozen."""
        name = f"contactd with {contacts} contacts"
        self.say(f"{name}: starting and seeding")
        server = peers.Contactd("contactd", self.options.contactd,
                                self.folder / f"contactd-{contacts}-{len(self.peers)}",
                                shlex.split(self.options.contactd_flags))
        self.peers.append(server)
        server.seed(self.options.build / "bench_seed", contacts, self.options.organizations)
        server.proof = server.prove()
        server.settle()
        server.freeze()
        return server

    def discard(self, server):
        code = self.drop(server)
        shutil.rmtree(server.folder, ignore_errors=True)
        if code != 0:
            raise Failure(f"contactd ended with {code} on SIGTERM")

    # ---- speed and get -------------------------------------------------------------------------

    def bare_beast(self, lists, proof):
        """Peer (a) with one I/O thread or two, whichever is faster here."""
        contact = self.folder / "contact.json"
        contact.write_text(proof)
        both = [self.keep(peers.BareBeast(self.options.build, self.folder, contact, threads))
                for threads in (1, 2)]
        rates = {peer: [] for peer in both}
        for _ in range(3):
            for peer in both:
                peer.thaw()
                for connections in (64, 256):
                    rates[peer].append(peers.wrk("patch.lua", peer.address, *lists, connections,
                                                 min(2, self.options.seconds))["rate"])
                peer.freeze()
        best = max(both, key=lambda peer: statistics.fmean(rates[peer]))
        for peer in both:
            self.say(f"  {peer.name}: {statistics.fmean(rates[peer]):,.0f} PATCHes a second")
            if peer is not best:
                self.drop(peer)
        self.threads_of_a = best.threads
        return best

    def postgres_and_fastify(self):
        """Peers (c) and (d) with the lists for wrk, None for what cannot run here."""
        lacking = [tool for tool in ("initdb", "postgres", "pgbench", "pg_isready")
                   if not (peers.POSTGRES_BIN / tool).exists()]
        if lacking:
            self.not_run["c"] = "PostgreSQL 15 is missing: apt-get install postgresql-15"
            self.not_run["d"] = self.not_run["c"]
            return None, None, None
        self.say("(c) PostgreSQL: starting and seeding")
        try:
            database = self.keep(peers.Postgres(self.folder, self.options.contacts,
                                                self.options.organizations))
        except (Failure, KeyError, OSError) as failure:
            self.not_run["c"] = self.not_run["d"] = f"PostgreSQL does not run here: {failure}"
            return None, None, None
        if not shutil.which("node") or not shutil.which("npm"):
            self.not_run["d"] = "Node is missing: apt-get install nodejs npm"
            return database, None, None
        try:
            lists = database.write_lists(self.folder)
            database.thaw()
            stack = peers.Fastify(database, self.home / "fastify", self.folder)
            self.peers.append(stack)
            stack.prove(*lists)
            stack.freeze()
        except Failure as failure:
            self.not_run["d"] = f"fastify does not run here: {failure}"
            return database, None, None
        finally:
            database.freeze()
        return database, stack, lists

    def disk(self):
        for file, window in peers.fdatasync(self.options.build, self.folder,
                                            self.options.disk_records).items():
            if isinstance(window, dict):
                self.samples.add("disk", file, 1, window)
        os.sync()

    def speed_round(self, server, ceiling, database, stack, lists):
        self.disk()
        for count in self.options.connections:
            measured = [("contactd", [server], self.load("patch.lua", server, count)),
                        ("a", [ceiling], self.load("patch.lua", ceiling, count,
                                                   (server.ids, server.keys)))]
            if database:
                measured.append(("c", [database], lambda seconds, count=count:
                                 database.pgbench(count, seconds)))
            if stack:
                measured.append(("d", [database, stack],
                                 self.load("patch.lua", stack, count, lists)))
            for name, running, measure in measured:
                sample = self.window(running, measure)
                self.samples.add("patch", name, count, sample)
                self.say(f"  PATCH {count:>4} {report.PEERS[name]:<28}{sample['rate']:>9,.0f}/s")

    def get_round(self, server, ceiling):
        for name, peer in (("contactd", server), ("a", ceiling)):
            measure = self.load("get.lua", peer, 64, (server.ids, server.keys))
            sample = self.window([peer], measure)
            self.samples.add("get", name, 64, sample)
            self.say(f"  GET     64 {report.PEERS[name]:<28}{sample['rate']:>9,.0f}/s")

    def speed_and_get(self):
        speed = "speed" in self.options.only
        server = self.contactd(self.options.contacts)
        ceiling = self.bare_beast((server.ids, server.keys), server.proof)
        others = self.postgres_and_fastify() if speed else (None, None, None)
        for number in range(self.options.rounds):
            self.say(f"speed: round {number + 1} of {self.options.rounds}")
            if speed:
                self.speed_round(server, ceiling, *others)
            if "get" in self.options.only:
                self.get_round(server, ceiling)
        for peer in (others[1], others[0], ceiling):
            if peer:
                self.drop(peer)
        self.discard(server)
        if speed:
            report.judge_speed(self.samples, self.aims)
        if "get" in self.options.only:
            report.judge_get(self.samples, self.aims)

    # ---- memory and scale ----------------------------------------------------------------------

    def weigh(self, server, when):
        reading = {"when": when, **server.memory_mib()}
        self.memory.append(reading)
        self.say(f"  {when}: {reading['rss_mib']:.0f} MiB, peak {reading['peak_mib']:.0f} MiB")
        server.reset_peak()

    def weigh_serving(self, server, then):
        for script, what in (("get.lua", "GETs"), ("patch.lua", "PATCHes")):
            measure = self.load(script, server, 64)
            sample = self.window([server], lambda _: measure(2 * self.options.seconds))
            self.samples.add("memory", f"{what} {then}", 64, sample)
            self.weigh(server, f"{what} {then}")

    def weigh_many(self, server):
        self.weigh(server, f"{self.options.many} contacts seeded")
        self.weigh_serving(server, "after seeding")
        server.thaw()
        self.say(f"  ready again {server.restart():.1f} s after a restart")
        server.settle()
        self.weigh(server, "restarted")
        server.freeze()
        self.weigh_serving(server, "after the restart")
        self.aims.check(f"MiB resident with {self.options.many} contacts, the most of all steps",
                        max(reading["rss_mib"] for reading in self.memory), 512)

    def scale(self, many):
        few = self.contactd(self.options.few)
        sizes = [("few", few), ("many", many)]
        for number in range(self.options.rounds):
            self.say(f"scale: round {number + 1} of {self.options.rounds}")
            for size, server in sizes if number % 2 == 0 else sizes[::-1]:
                sample = self.window([server], self.load("patch.lua", server, 64))
                self.samples.add("scale", size, 64, sample)
                self.say(f"  PATCH   64 {size:<28}{sample['rate']:>9,.0f}/s")
        self.discard(few)
        report.judge_scale(self.samples, self.aims)

    def memory_and_scale(self):
        many = self.contactd(self.options.many)
        if "memory" in self.options.only:
            self.weigh_many(many)
        if "scale" in self.options.only:
            self.scale(many)
        self.discard(many)

    # ---- history -------------------------------------------------------------------------------

    def patch_some(self, server, first, contacts, requests, connections, *flags):
        """A counted number of PATCHes in turn, so that the histories stay as long as they are."""
        self.salt = getattr(self, "salt", 0) + 1
        sample = json.loads(peers.run([
            self.options.build / "bench_seed", "patch", "--server", server.address, "--keys",
            server.keys, "--ids", server.ids, "--first", first, "--contacts", contacts,
            "--requests", requests, "--connections", connections, "--salt", self.salt, *flags]))
        return {**sample, "errors": 0}

    def history(self):
        young, events = self.options.history_young, self.options.history_events
        server = self.contactd(young + OLD_CONTACTS)
        server.thaw()
        ages = {"young": (0, young), "old": (young, OLD_CONTACTS)}
        self.say(f"history: {young} contacts with 10 events, {OLD_CONTACTS} with {events}")
        self.patch_some(server, *ages["young"], young * 9, 64)
        self.patch_some(server, *ages["old"], OLD_CONTACTS * (events - 1), 64)
        server.settle()
        for number in range(self.options.rounds):
            self.say(f"history: round {number + 1} of {self.options.rounds}")
            for connections, requests in ((64, young), (1, young // 4)):
                order = list(ages.items())
                for age, which in order if number % 2 == 0 else order[::-1]:
                    sample = self.patch_some(server, *which, requests, connections)
                    self.samples.add("history", age, connections, sample)
        self.discard(server)
        report.judge_history(self.samples, self.aims)

    # ---- all of it -----------------------------------------------------------------------------

    def measure(self):
        if {"speed", "get"} & set(self.options.only):
            self.speed_and_get()
        if {"memory", "scale"} & set(self.options.only):
            self.memory_and_scale()
        if "history" in self.options.only:
            self.history()
        if "rebuild" in self.options.only:
            live_rebuild.measure(self)
        if "replay" in self.options.only:
            rebuild.measure(self)
        if "kafka" in self.options.only:
            try:
                self.kafka_time = kafka.measure(self)
            except (Failure, OSError) as failure:
                self.not_run["kafka"] = f"Kafka: {failure}"

    def print(self):
        options, named = self.options, report.named(self.samples)
        report.print_table(named, "patch", f"PATCH on {options.contacts:,} contacts in "
                           f"{options.organizations} organizations; medians of {options.rounds}")
        report.print_disk(self.samples)
        report.print_table(named, "get", "GET, the same contacts")
        report.print_table(named, "memory", f"Serving {options.many:,} contacts")
        report.print_memory(self.memory)
        report.print_table(named, "scale", f"PATCH on {options.few:,} contacts (few) and on "
                           f"{options.many:,} (many)")
        report.print_table(named, "history", "PATCH on contacts with 10 events (young) and with "
                           f"{options.history_events:,} (old)")
        report.print_table(named, "live_rebuild", "PATCH while the projections are built anew")
        report.print_table(named, "replay", "The embedded log: its bytes read, its events decoded, "
                           "the projections folded anew; events a second")
        report.print_table(named, "kafka", "PATCH with the log on Kafka, and bare loops of so many "
                           "records a transaction")
        report.print_table(named, "rebuild", "The topic read and thrown away, and folded anew; "
                           "records a second")
        kafka.print_spent(self.kafka_time)
        self.aims.print()
        for peer, why in self.not_run.items():
            print(f"\n  not run: {report.PEERS.get(peer, peer)}: {why}")
        if options.quick:
            print("\n  --quick: these figures show that the benchmark works, and nothing else.")

    def save(self, machine):
        self.home.mkdir(parents=True, exist_ok=True)
        number = 1
        while (self.home / f"results-{number}.json").exists():
            number += 1
        arguments = {name: str(value) if isinstance(value, pathlib.Path) else value
                     for name, value in vars(self.options).items()}
        path = self.home / f"results-{number}.json"
        path.write_text(json.dumps({
            "machine": machine, "arguments": arguments, "threads_of_a": self.threads_of_a,
            "samples": self.samples.as_list(), "memory": self.memory,
            "kafka_time": self.kafka_time, "aims": self.aims.lines,
            "not_run": self.not_run}, indent=2) + "\n")
        print(f"\nresults: {path}")


def machine_now():
    return {"processors": os.cpu_count(), "kernel": platform.release(),
            "load_before": os.getloadavg()[0], "time": time.strftime("%Y-%m-%dT%H:%M:%SZ",
                                                                     time.gmtime())}


def check_tools(options):
    if not shutil.which("wrk"):
        raise Failure("wrk is missing, and without it nothing can be measured: "
                      "apt-get install wrk postgresql-15 nodejs npm")
    for program in (options.contactd, *(options.build / name for name in
                                        ("bench_bare_beast", "bench_fdatasync", "bench_seed",
                                         "bench_replay"))):
        if not program.exists():
            raise Failure(f"{program} is not there: ./dev bench builds it")


def main(arguments):
    options = options_of(arguments)
    machine = machine_now()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        check_tools(options)
        if machine["load_before"] > 0.5:
            print(f"note: the machine is busy (load {machine['load_before']:.1f}); the figures "
                  "will not repeat", flush=True)
        home = options.work or options.build.parent / "bench"
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="work-", dir=home) as folder:
            os.chmod(folder, 0o755)  # PostgreSQL runs as a user of its own
            bench = Bench(options, pathlib.Path(folder).resolve())
            try:
                bench.measure()
            finally:
                bench.close()
                bench.print()  # also what was measured before a failure
                bench.save(machine)
    except Failure as failure:
        print(f"bench: {failure}", file=sys.stderr)
        return 1
    if bench.samples.errors():
        print(f"bench: {bench.samples.errors()} requests failed", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
