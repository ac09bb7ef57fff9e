"""Puts an instrumented contactd to its usual work, for a profile that a compiler optimizes by.

    python3 bench/train.py --build build/instrumented

Not the load that run.py measures: other clients, other changes, reads of every kind, and a start
without projections. The bare server that run.py compares with is trained too. Does nothing if the
profile is one of this very program.
"""

import argparse
import http.client
import json
import pathlib
import shutil
import sys
import tempfile

sys.dont_write_bytecode = True

import peers  # noqa: E402
from peers import Failure  # noqa: E402

CONTACTS = 20_000
ORGANIZATIONS = 50
CHANGES = ((256, 60_000), (64, 20_000), (4, 4_000), (1, 1_000))  # connections, PATCHes
READS = 300  # of each kind
ROOT = pathlib.Path(__file__).resolve().parent.parent
PROFILE, OPTIMIZED = ROOT / "build/profile", ROOT / "build/pgo"  # as cmake/toolchain.cmake has them


def change(tool, server, lists, contacts):
    """PATCHes, over few connections and over many."""
    ids, keys = lists
    for connections, requests in CHANGES:
        peers.run([tool, "patch", "--server", server.address, "--keys", keys, "--ids", ids,
                   "--contacts", contacts, "--requests", requests, "--connections", connections,
                   "--salt", connections, "--varied"])


def read(server):
    """GETs of contacts, lists, histories and the feed, and a change that changes nothing."""
    keys = server.keys.read_text().split()
    connection = http.client.HTTPConnection(server.address, timeout=60)

    def ask(key, path, method="GET", body=None):
        headers = {"X-API-KEY": key, "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise Failure(f"{method} {path} was answered with {response.status}: {text[:500]}")
        return json.loads(text)

    for number, contact in enumerate(server.ids.read_text().split()[:READS]):
        key, path = keys[number % len(keys)], f"/api/v1/contacts/{contact}"
        got = ask(key, path)["data"]
        ask(key, path, "PATCH", json.dumps({"first_name": got["first_name"]}))
        ask(key, f"{path}/history")
        ask(key, "/api/v1/contacts?page_size=20")
        ask(key, "/api/v1/events?limit=20")
    connection.close()


def train(build, folder):
    tool = build / "bench_seed"
    server = peers.Contactd("contactd", build / "contactd", folder / "contactd", [])
    try:
        server.seed(tool, CONTACTS, ORGANIZATIONS)
        change(tool, server, (server.ids, server.keys), CONTACTS)
        read(server)
        constant = folder / "contact.json"
        constant.write_text(server.prove())
        end(server)
        shutil.rmtree(server.folder / "data" / "projections")
        server.start()
    finally:
        end(server)
    ceiling = peers.BareBeast(build, folder, constant, threads=1)
    try:
        change(tool, ceiling, (server.ids, server.keys), CONTACTS)
    finally:
        end(ceiling)


def end(peer):
    """A program writes its profile when it ends, and only if it ends well."""
    code = peer.stop()
    if code != 0:
        raise Failure(f"{peer.name} ended with {code} on SIGTERM")


def main(arguments):
    parser = argparse.ArgumentParser(description="Has an instrumented contactd record a profile.")
    parser.add_argument("--build", required=True, type=pathlib.Path, help="where the programs are")
    build = parser.parse_args(arguments).build.resolve()
    done = PROFILE / "trained"
    if done.exists() and done.stat().st_mtime > (build / "contactd").stat().st_mtime:
        return
    print("recording a profile of contactd at work", flush=True)
    # What was compiled by an earlier profile wouldn't be compiled again.
    for stale in (PROFILE, OPTIMIZED):
        shutil.rmtree(stale, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="train-", dir=build) as folder:
        train(build, pathlib.Path(folder))
    done.touch()


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"train.py: {failure}")
