#!/usr/bin/env python3
"""Runs clang-tidy over what the given build compiles of ours, several files at a time.

    clang_tidy.py BUILD_DIRECTORY [JOBS]

What is compiled as one (a unity build) is looked at as one, which takes a fifth of the time. What
passed is not looked at again until it, one of our files that it includes, its compile command or
.clang-tidy has changed: BUILD_DIRECTORY/clang-tidy-passed remembers that.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOOL = "clang-tidy-19"
# Only Asio's and Beast's own implementations; nothing of ours is in there.
NOT_OURS = "contactd_asio.dir"
OWN_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# The commands are GCC's; what clang doesn't know of them is no finding.
FLAGS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option",
         "--extra-arg=-Wno-ignored-optimization-argument"]


def compiled(commands):
    """What is compiled of ours, each with its command; what has most to read comes first, so that
    none is left over for the end."""
    found = {}
    for entry in commands:
        path = pathlib.Path(os.path.join(entry["directory"], entry["file"])).resolve()
        command = entry.get("command") or " ".join(entry["arguments"])
        if path.is_relative_to(ROOT) and NOT_OURS not in command:
            found[path] = command
    return sorted(found.items(), key=lambda item: (-size_of(item[0]), item[0]))


def size_of(path):
    """In bytes, with the files of ours that it includes."""
    files = set()
    with_headers(path, files)
    return sum(file.stat().st_size for file in files)


def with_headers(path, seen):
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for name in OWN_INCLUDE.findall(path.read_text(encoding="utf-8", errors="replace")):
        with_headers(ROOT / name, seen)


def fingerprint(path, command, tool_version):
    digest = hashlib.sha256((tool_version + " ".join(FLAGS) + command).encode())
    files = set()
    with_headers(path, files)
    for file in sorted(files) + [ROOT / ".clang-tidy"]:
        digest.update(str(file).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()


def check(build, path):
    run = subprocess.run([TOOL, "-p", str(build), *FLAGS, str(path)], stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True, check=False)
    return run.returncode == 0, run.stdout


def main(arguments):
    build = pathlib.Path(arguments[0]).resolve()
    jobs = int(arguments[1]) if len(arguments) > 1 else os.cpu_count()
    memory = build / "clang-tidy-passed"
    remembered = set(memory.read_text(encoding="utf-8").split()) if memory.exists() else set()
    version = subprocess.run([TOOL, "--version"], capture_output=True, text=True, check=True).stdout
    sources = compiled(json.loads((build / "compile_commands.json").read_text(encoding="utf-8")))
    prints = {path: fingerprint(path, command, version) for path, command in sources}
    passed = {mark for mark in prints.values() if mark in remembered}
    changed = [path for path, _ in sources if prints[path] not in remembered]
    failures = 0
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        running = {pool.submit(check, build, path): path for path in changed}
        for done in concurrent.futures.as_completed(running):
            fine, output = done.result()
            if fine:
                passed.add(prints[running[done]])
            else:
                failures += 1
                print(output, flush=True)
            memory.write_text("\n".join(sorted(passed)) + "\n", encoding="utf-8")
    files = set()
    for path, _ in sources:
        with_headers(path, files)
    print(f"clang-tidy: {len(files)} files in {len(sources)} units, {len(changed)} of them looked "
          f"at, {failures} with findings")
    return 1 if failures or not sources else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
