"""Medians of the samples, the tables, and the aims with MET or MISSED."""

import statistics


class Samples:
    """What was measured: for each (load, peer, connections) a list of windows."""

    def __init__(self):
        self.windows = {}

    def add(self, load, peer, connections, window):
        self.windows.setdefault((load, peer, connections), []).append(window)

    def median(self, load, peer, connections, what):
        """None when it was not measured, or when requests failed while it was."""
        windows = self.windows.get((load, peer, connections))
        if not windows or any(window.get("errors") for window in windows):
            return None
        return statistics.median(window[what] for window in windows)

    def errors(self):
        return sum(window.get("errors", 0) for all_of_it in self.windows.values()
                   for window in all_of_it)

    def as_list(self):
        return [{"load": load, "peer": peer, "connections": connections, "windows": windows}
                for (load, peer, connections), windows in self.windows.items()]


class Aims:
    """The aims, each with what was measured beside it."""

    def __init__(self):
        self.lines = []

    def check(self, sentence, value, limit, least=False):
        """`value` is at most `limit`, or at least, and None when it could not be measured."""
        if value is None:
            verdict = "NOT MEASURED"
        else:
            verdict = "MET" if (value >= limit if least else value <= limit) else "MISSED"
        self.lines.append({"aim": sentence, "value": value, "limit": limit,
                           "relation": ">=" if least else "<=", "verdict": verdict})

    def print(self):
        if not self.lines:
            return
        print("\nAims\n")
        for line in self.lines:
            value = "-" if line["value"] is None else f"{line['value']:.2f}"
            print(f"  {line['verdict']:<13}{value:>10} {line['relation']} {line['limit']:<8g}"
                  f"{line['aim']}")


def ratio(above, below):
    return None if above is None or not below else above / below


def apart(one, other):
    """How far two values are from each other, as a ratio of at least 1."""
    return None if not one or not other else max(one / other, other / one)


def print_table(samples, load, title):
    rows = [(connections, peer, windows)
            for (of, peer, connections), windows in samples.windows.items() if of == load]
    if not rows:
        return
    print(f"\n{title}\n")
    print(f"  {'connections':>11}  {'':<28}{'requests/s':>11}  {'lowest - highest':>19}"
          f"{'p50 us':>9}{'p99 us':>9}{'errors':>8}")
    last = None
    for connections, peer, windows in sorted(rows, key=lambda row: row[0]):
        rates = [window["rate"] for window in windows]
        middle = {what: statistics.median(window[what] for window in windows)
                  for what in ("rate", "p50_us", "p99_us")}
        print(f"  {connections if connections != last else '':>11}  {peer:<28}"
              f"{middle['rate']:>11,.0f}  {min(rates):>8,.0f} - {max(rates):>8,.0f}"
              f"{middle['p50_us']:>9,.0f}{middle['p99_us']:>9,.0f}"
              f"{sum(window['errors'] for window in windows):>8}")
        last = connections


def print_disk(samples):
    if ("disk", "growing", 1) not in samples.windows:
        return
    print("\n(b) fdatasync of 600 bytes, one at a time\n")
    for file in ("growing", "preallocated"):
        print(f"  {file + ' file':<20}p50 {samples.median('disk', file, 1, 'p50_us'):>7,.0f} us"
              f"   p99 {samples.median('disk', file, 1, 'p99_us'):>7,.0f} us")


def judge_speed(samples, aims):
    def patch(peer, connections, what="rate"):
        return samples.median("patch", peer, connections, what)

    ceiling, floor = patch("a", 1, "p50_us"), samples.median("disk", "growing", 1, "p50_us")
    together = None if ceiling is None or floor is None else ceiling + floor
    aims.check("1 connection: median latency, over (a)'s plus (b)'s",
               ratio(patch("contactd", 1, "p50_us"), together), 1.5)
    aims.check("64 connections: rate, over (c)'s",
               ratio(patch("contactd", 64), patch("c", 64)), 3, least=True)
    aims.check("64 connections: rate, over (d)'s",
               ratio(patch("contactd", 64), patch("d", 64)), 6, least=True)
    aims.check("256 connections: rate, over (a)'s",
               ratio(patch("contactd", 256), patch("a", 256)), 0.5, least=True)
    aims.check("64 connections: p99 over p50",
               ratio(patch("contactd", 64, "p99_us"), patch("contactd", 64, "p50_us")), 4)


def judge_get(samples, aims):
    aims.check("GET at 64 connections: rate, over (a)'s",
               ratio(samples.median("get", "contactd", 64, "rate"),
                     samples.median("get", "a", 64, "rate")), 0.8, least=True)


def judge_scale(samples, aims):
    rates = [samples.median("scale", size, 64, "rate") for size in ("few", "many")]
    aims.check("PATCH rate, few contacts and many: apart by", apart(*rates), 1.3)


def judge_history(samples, aims):
    for connections, what, name in ((64, "rate", "rate at 64 connections"),
                                    (1, "p50_us", "median latency at 1 connection")):
        values = [samples.median("history", age, connections, what) for age in ("young", "old")]
        aims.check(f"PATCH {name}, short history and long: apart by", apart(*values), 1.3)


def print_memory(readings):
    if not readings:
        return
    print("\nMemory (MiB): resident, and the highest since the step began\n")
    for reading in readings:
        print(f"  {reading['when']:<44}{reading['rss_mib']:>8.0f}{reading['peak_mib']:>8.0f}")


PEERS = {"a": "(a) bare Beast", "b": "(b) fdatasync", "c": "(c) PostgreSQL 15, no HTTP",
         "d": "(d) fastify + PostgreSQL", "contactd": "contactd"}


def named(samples):
    """The samples with the peers' names written out, for the tables."""
    full = Samples()
    for (load, peer, connections), windows in samples.windows.items():
        full.windows[(load, PEERS.get(peer, peer), connections)] = windows
    return full
