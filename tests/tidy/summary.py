#!/usr/bin/env python3
"""Counts the cases of a ctest run and says which of them could not run, and why.

    summary.py RESULTS.xml

Reads ctest's JUnit file. An entry that is a GoogleTest program counts as its cases, any other entry
as one. Of what failed it says again how its output ended. The last line is
`N passed, N failed, N skipped`. Exit code 0: nothing failed, and, where CI
is `true`, nothing was skipped. With FILTER in the environment, entries that are no GoogleTest
programs count only if they have that text in their names.
"""

import os
import pathlib
import re
import sys
import xml.etree.ElementTree

RUN = re.compile(r"\[ RUN      \] (\S+)")
END = re.compile(r"\[ +(OK|SKIPPED|FAILED) +\] (\S+?)(?:, where .*)? \(\d+ ms\)")
REASON = re.compile(r"^\S+:\d+: Skipped\n(.*)", re.MULTILINE | re.DOTALL)
SUITE = re.compile(r"^SUITE NOT RUN: (.*)$", re.MULTILINE)
PROGRAM = re.compile(r"^\[==========\] ", re.MULTILINE)
LINES_OF_A_FAILURE = 40


class Summary:
    def __init__(self):
        self.passed = 0
        self.failures = []  # (name, output)
        self.skips = []  # (name, why)

    def add(self, outcome, name, why="", output=""):
        if outcome == "OK":
            self.passed += 1
        elif outcome == "SKIPPED":
            self.skips.append((name, why.strip() or "no reason given"))
        else:
            self.failures.append((name, output))


def why_skipped(output):
    found = REASON.search(output) or SUITE.search(output)
    return found.group(1) if found else ""


def add_program(summary, entry, failed, output):
    """The cases of a GoogleTest program; a crash is the failure of the case that ran."""
    failures_before = len(summary.failures)
    skips_before = len(summary.skips)
    running = None
    start = 0
    for line in re.finditer(r".*\n?", output):
        if begun := RUN.search(line.group()):
            running = begun.group(1)
            start = line.end()
        elif ended := END.search(line.group()):
            outcome, name = ended.groups()
            said = output[start : line.start()] if running else ""
            # A case that found its material absent has not run, whatever it calls itself.
            if outcome == "OK" and SUITE.search(said):
                outcome = "SKIPPED"
            summary.add(outcome, f"{entry}: {name}", why_skipped(said), said)
            running = None
            start = line.end()
    if failed and len(summary.failures) == failures_before:
        summary.add("FAILED", f"{entry}: {running or 'the program itself'}", "", output[start:])
    # Material that was looked for outside of any case, so that its cases don't exist.
    if len(summary.skips) == skips_before:
        for reason in sorted(set(SUITE.findall(output))):
            summary.add("SKIPPED", entry, reason)


def summarize(text, name_filter=""):
    summary = Summary()
    for entry in xml.etree.ElementTree.fromstring(text).iter("testcase"):
        name, status = entry.get("name"), entry.get("status")
        output = entry.findtext("system-out") or ""
        skipped = entry.find("skipped")
        if PROGRAM.search(output) and status in ("run", "fail"):
            add_program(summary, name, status == "fail", output)
        elif name_filter and name_filter not in name:
            continue
        elif status == "run":
            summary.add("OK", name)
        elif status == "disabled":
            summary.add("SKIPPED", name, "disabled")
        elif skipped is not None and skipped.get("message", "").startswith("SKIP_"):
            lines = output.strip().splitlines()
            summary.add("SKIPPED", name, lines[-1] if lines else "")
        else:
            summary.add("FAILED", name, "", output)
    return summary


def report(summary, in_ci):
    """The lines to print and the exit code."""
    lines = []
    for name, output in summary.failures:
        said = output.strip().splitlines()
        if len(said) > LINES_OF_A_FAILURE:
            lines.append(f"the last {LINES_OF_A_FAILURE} lines of {name}, of {len(said)}:")
        lines += said[-LINES_OF_A_FAILURE:]
        lines.append(f"FAILED: {name}")
    reasons = {}
    for name, why in summary.skips:
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        lines.append(f"NOT RUN: {' '.join(why.split())} ({shown})")
    if summary.skips and in_ci:
        lines.append("This is CI (CI=true), where everything must run: that is a failure.")
    nothing = not summary.passed and not summary.failures and not summary.skips
    if nothing:
        lines.append("No test ran.")
    counts = (summary.passed, len(summary.failures), len(summary.skips))
    lines.append("{} passed, {} failed, {} skipped".format(*counts))
    bad = nothing or summary.failures or (summary.skips and in_ci)
    return lines, 1 if bad else 0


def main(arguments):
    path = pathlib.Path(arguments[0])
    if not path.exists():
        print("ctest left no results, so nothing is known.\n0 passed, 1 failed, 0 skipped")
        return 1
    text = path.read_text(encoding="utf-8", errors="replace")
    summary = summarize(text, os.environ.get("FILTER", ""))
    lines, code = report(summary, os.environ.get("CI") == "true")
    print("\n".join(lines))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
