#!/usr/bin/env python3
"""Runs clang-tidy over what the given build compiles of ours, several files at a time.

    clang_tidy.py BUILD_DIRECTORY [JOBS]

A file that passed is not looked at again until it, one of our headers that it includes, its
compile command or .clang-tidy has changed: BUILD_DIRECTORY/clang-tidy-passed remembers that.
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
NOT_OURS = {"cmake/asio.cpp", "cmake/beast.cpp"}
OWN_INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.MULTILINE)
# The commands are GCC's; what clang doesn't know of them is no finding.
FLAGS = ["--quiet", "--extra-arg=-Wno-unknown-warning-option",
         "--extra-arg=-Wno-ignored-optimization-argument"]


def compiled(commands):
    """Our sources with their commands, the largest first: none is left over for the end."""
    found = {}
    for command in commands:
        path = pathlib.Path(os.path.join(command["directory"], command["file"])).resolve()
        if not path.is_relative_to(ROOT) or path.is_relative_to(ROOT / "build"):
            continue
        if str(path.relative_to(ROOT)) not in NOT_OURS:
            found[path] = command.get("command") or " ".join(command["arguments"])
    return sorted(found.items(), key=lambda item: (-item[0].stat().st_size, item[0]))


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
    print(f"clang-tidy: {len(sources)} files, {len(changed)} looked at, {failures} with findings")
    return 1 if failures or not sources else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
