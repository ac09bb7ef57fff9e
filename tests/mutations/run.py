#!/usr/bin/env python3
"""Seeds bugs into a copy of the sources and says which suite catches each.

    run.py [--only NAME]... [--suite PROGRAM]... [--list] [--scratch DIRECTORY]

A mutation that doesn't compile is not caught by a suite and counts as missed. Exit code 1 if more
than one in twenty is missed. Standard library only.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from mutations import MUTATIONS

ROOT = pathlib.Path(__file__).resolve().parents[2]
MISSED_MAX = 20  # one in so many
SUITE_SECONDS_MAX = 600

# In the order in which they are tried; those that need the server come last.
SUITES = [
    "simulation_test",
    "disk_test",
    "projections_test",
    "infra_test",
    "domain_test",
    "linearizability_test",
    "crash_test",
    "api_test",
]
ENVIRONMENT = {"CCACHE_NOHASHDIR": "1", "CONTACTD_DISK_ERRORS": "60", "CONTACTD_POWER_SEEDS": "60"}


def sources():
    command = ["git", "-C", str(ROOT), "ls-files", "-coz", "--exclude-standard"]
    listed = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    return [path for path in listed.split("\0") if path and (ROOT / path).is_file()]


def copy_to(scratch):
    """Only what has changed, so that the compiler has no more to do than it must."""
    for path in sources():
        source, target = ROOT / path, scratch / path
        if target.is_file() and target.read_bytes() == source.read_bytes():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(source, target)
        os.utime(target)


def run(command, scratch, seconds=None):
    environment = {**os.environ, **ENVIRONMENT}
    try:
        done = subprocess.run(command, cwd=scratch, env=environment, timeout=seconds, check=False,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    except subprocess.TimeoutExpired:
        return 1, "it took too long"
    return done.returncode, done.stdout.decode(errors="replace")


def build(scratch, suites):
    command = ["cmake", "--build", "build/release", "--parallel", str(os.cpu_count()), "--target"]
    return run(command + suites, scratch)


def failed_tests(output):
    lines = [line[len("[  FAILED  ] "):] for line in output.splitlines()
             if line.startswith("[  FAILED  ] ")]
    return lines[0].split(" (")[0] if lines else "it ended early"


def caught_by(scratch, suites):
    """The first suite that fails and what in it; or None, and why."""
    for suite in suites:
        code, output = build(scratch, [suite])
        if code != 0:
            return None, "it doesn't compile:\n" + output[-2000:]
        code, output = run(["build/release/" + suite], scratch, SUITE_SECONDS_MAX)
        if code != 0:
            return suite, failed_tests(output)
    return None, "every suite passes"


def seed(scratch, mutation):
    path = scratch / mutation.path
    text = path.read_text()
    if text.count(mutation.old) != 1:
        sys.exit(f"{mutation.name}: {mutation.path} has {text.count(mutation.old)} places for it; "
                 "bring tests/mutations/mutations.py up to date")
    path.write_text(text.replace(mutation.old, mutation.new))


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--only", action="append", help="this mutation; may be repeated")
    parser.add_argument("--suite", action="append", choices=SUITES, help="only these suites")
    parser.add_argument("--list", action="store_true", help="name the mutations")
    parser.add_argument("--scratch", type=pathlib.Path, help="where to build; kept")
    options = parser.parse_args(arguments)
    if options.list:
        for mutation in MUTATIONS:
            print(f"{mutation.name}: {mutation.what}")
        return 0
    chosen = [one for one in MUTATIONS if not options.only or one.name in options.only]
    if not chosen:
        sys.exit("there is no such mutation; --list names them")
    suites = options.suite or SUITES
    with tempfile.TemporaryDirectory(prefix="contactd-mutations-") as temporary:
        scratch = (options.scratch or pathlib.Path(temporary)).resolve()
        copy_to(scratch)
        code, output = run(["cmake", "--preset", "release"], scratch)
        if code != 0:
            sys.exit(output)
        missed = 0
        for mutation in chosen:
            copy_to(scratch)
            seed(scratch, mutation)
            suite, why = caught_by(scratch, suites)
            missed += suite is None
            verdict = f"caught by {suite}, {why}" if suite else f"MISSED: {why}"
            print(f"{mutation.name}: {verdict}", flush=True)
    print(f"{len(chosen) - missed} of {len(chosen)} caught")
    return 1 if missed * MISSED_MAX > len(chosen) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
