#!/usr/bin/env python3
"""The binary is built as SECURITY.md says: what a release must have, binutils sees in it."""

import pathlib
import subprocess
import sys

# A symbol of glibc's that code compiled so calls, and what it stands for.
SYMBOLS = {"__stack_chk_fail": "a stack protector", "_chk@": "_FORTIFY_SOURCE"}


def readelf(binary, *flags):
    return subprocess.run(["readelf", "-W", *flags, str(binary)], capture_output=True, text=True,
                          check=True).stdout


def findings(binary):
    header = readelf(binary, "--file-header")
    segments = readelf(binary, "--program-headers")
    dynamic = readelf(binary, "--dynamic")
    symbols = readelf(binary, "--dyn-syms")
    if "DYN (Position-Independent Executable" not in header:
        yield "it isn't position independent"
    if "GNU_RELRO" not in segments or "NOW" not in dynamic:
        yield "its relocations can be written to"
    stack = [line for line in segments.splitlines() if "GNU_STACK" in line]
    if not stack or "E" in stack[0].split()[-2]:
        yield "its stack can be executed"
    for symbol, what in SYMBOLS.items():
        if symbol not in symbols:
            yield f"it has no {what.removeprefix('a ')}"


def main(binary):
    found = list(findings(pathlib.Path(binary)))
    for sentence in found:
        print(f"{binary}: {sentence}")
    print(f"hardening: {len(found)} findings")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
