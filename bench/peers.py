"""The programs that the benchmark measures and measures with: start, freeze, ask, stop."""

import ctypes
import http.client
import json
import os
import pathlib
import pwd
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
POSTGRES_BIN = pathlib.Path("/usr/lib/postgresql/15/bin")
PR_SET_PDEATHSIG = 1


class Failure(Exception):
    """Something that ends the benchmark, or a peer of it, with a sentence."""


def run(command, **options):
    """Runs a command to its end; its standard output, or a Failure with what it said."""
    done = subprocess.run([str(part) for part in command], text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False, **options)
    if done.returncode != 0:
        raise Failure(f"{pathlib.Path(command[0]).name} ended with {done.returncode}: "
                      f"{(done.stderr or done.stdout).strip()[-2000:]}")
    return done.stdout


def die_with_parent(signal_number):
    """For the child of a fork: ends it when this process ends, however that happens."""
    library = ctypes.CDLL(None)
    return lambda: library.prctl(PR_SET_PDEATHSIG, signal_number)


def children_of(pid):
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except FileNotFoundError:
        return []
    found = []
    for thread in threads:
        try:
            text = pathlib.Path(f"/proc/{pid}/task/{thread}/children").read_text()
        except FileNotFoundError:
            continue
        for child in map(int, text.split()):
            found += [child, *children_of(child)]
    return found


class Peer:
    """A process, with its children, that can be stopped for a while as if it were not there."""

    def __init__(self, name, command, log, ready, wait_s=60, **options):
        self.name = name
        self.frozen = False
        self.log = pathlib.Path(log)
        with self.log.open("ab") as errors:
            self.process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=errors, preexec_fn=die_with_parent(signal.SIGKILL), **options)
        try:
            self.address = self._wait_until_ready(ready, wait_s) if ready else None
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _wait_until_ready(self, prefix, wait_s):
        stream = self.process.stdout
        line = b""
        end = time.monotonic() + wait_s
        while not line.endswith(b"\n"):
            if not select.select([stream], [], [], max(0, end - time.monotonic()))[0]:
                raise Failure(f"{self.name} was not ready within {wait_s} s")
            byte = os.read(stream.fileno(), 1)
            if not byte:
                said = self.log.read_text(errors="replace").strip()[-2000:]
                raise Failure(f"{self.name} ended before it was ready: {said}")
            line += byte
        text = line.decode(errors="replace").strip()
        if not text.startswith(prefix):
            raise Failure(f"{self.name} printed '{text}' where '{prefix}...' was expected")
        return text.rpartition("http://")[2]

    def freeze(self):
        if not self.frozen:
            self._signal_all(signal.SIGSTOP)
            self.frozen = True

    def thaw(self):
        if self.frozen:
            self._signal_all(signal.SIGCONT)
            self.frozen = False

    def _signal_all(self, number):
        for pid in [self.process.pid, *children_of(self.process.pid)]:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def settle(self, limit_s=60):
        """Waits until the process has next to nothing left to do (compactions, for one)."""
        end = time.monotonic() + limit_s
        while time.monotonic() < end:
            before = self._cpu_s()
            time.sleep(1)
            if self._cpu_s() - before < 0.03:
                return
        print(f"  note: {self.name} was still busy {limit_s} s after its load", flush=True)

    def _cpu_s(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    def memory_mib(self):
        """Resident memory now, and its peak since the start or the last reset_peak()."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        values = {line.split(":")[0]: line.split()[1] for line in status.splitlines()
                  if line.startswith(("VmRSS:", "VmHWM:"))}
        return {"rss_mib": int(values["VmRSS"]) / 1024, "peak_mib": int(values["VmHWM"]) / 1024}

    def reset_peak(self):
        pathlib.Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def stop(self, number=signal.SIGTERM, wait_s=60):
        """Ends the process; its exit code."""
        if self.process.poll() is None:
            self.thaw()
            self.process.send_signal(number)
            try:
                self.process.wait(wait_s)
            except subprocess.TimeoutExpired:
                print(f"  note: {self.name} did not end within {wait_s} s; killed", flush=True)
                self.process.kill()
                self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()
        return self.process.returncode


def ask(address, method, path, key, body=None):
    """One request on a connection of its own; status, headers and body."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        headers = {"X-API-KEY": key}
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def expect(status, answer, what):
    if answer[0] != status:
        raise Failure(f"{what} was answered with {answer[0]}, not {status}: {answer[2][:500]}")
    return json.loads(answer[2])["data"]


class Contactd(Peer):
    """A contactd on a data directory of its own."""

    def __init__(self, name, binary, folder, flags, log=("--log", "embedded")):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ids, self.keys = self.folder / "ids", self.folder / "keys"
        self.admin_key = secrets.token_hex(24)
        self._start = (name, [binary, "serve", "--listen", "127.0.0.1:0", "--data-dir",
                              self.folder / "data", *log, *flags])
        self.start()

    def start(self):
        name, command = self._start
        super().__init__(name, command, self.folder / "log", "contactd ready ", wait_s=600,
                         env={**os.environ, "CONTACTD_ADMIN_KEY": self.admin_key})

    def restart(self):
        """Stops and starts again on the same data; seconds until it was ready."""
        code = self.stop()
        if code != 0:
            raise Failure(f"{self.name} ended with {code} on SIGTERM")
        begin = time.monotonic()
        self.start()
        return time.monotonic() - begin

    def seed(self, tool, contacts, organizations):
        """Makes the organizations' keys and the contacts, all through the API."""
        keys = []
        for number in range(organizations):
            answer = ask(self.address, "POST", "/admin/v1/keys", self.admin_key,
                         {"organization": f"organization-{number}", "name": "bench",
                          "scopes": {"contacts": "write"}})
            keys.append(expect(201, answer, "POST /admin/v1/keys")["key"])
        self.keys.write_text("".join(f"{key}\n" for key in keys))
        taken = json.loads(run([tool, "create", "--server", self.address, "--keys", self.keys,
                                "--ids", self.ids, "--requests", contacts]))
        print(f"  {contacts} contacts, {taken['rate']:.0f} a second", flush=True)

    def prove(self):
        """A PATCH changes what it should and is read back; its response's body."""
        with self.ids.open() as ids, self.keys.open() as keys:
            path, key = f"/api/v1/contacts/{ids.readline().strip()}", keys.readline().strip()
        value = secrets.token_hex(4)
        answer = ask(self.address, "PATCH", path, key,
                     {"first_name": f"Janet {value}", "job_title": f"CTO {value}",
                      "tags": ["vip", "speaker", value]})
        changed = expect(200, answer, "PATCH")
        read = expect(200, ask(self.address, "GET", path, key), "GET")
        if changed["first_name"] != f"Janet {value}" or read != changed:
            raise Failure(f"{self.name} does not read back what it was told")
        return answer[2]


class BareBeast(Peer):
    """Peer (a)."""

    def __init__(self, build, folder, contact, threads):
        super().__init__(f"(a) bare Beast, {threads} thread{'s'[:threads - 1]}",
                         [build / "bench_bare_beast", "--listen", "127.0.0.1:0", "--threads",
                          threads, "--contact", contact],
                         folder / "bare_beast.log", "bench_bare_beast ready ")
        self.threads = threads


def reachable_by_others(folder):
    return all(parent.stat().st_mode & 0o001 for parent in [folder, *folder.parents])


class Postgres(Peer):
    """Peer (c): a cluster of its own in temporary folders, reached by a Unix socket."""

    def __init__(self, folder, contacts, organizations):
        self.contacts, self.organizations, self.work = contacts, organizations, folder
        identity = {}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            user = pwd.getpwnam("postgres")
            identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
        place = folder if not identity or reachable_by_others(folder) else "/var/tmp"
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="contactd-bench-pg-", dir=place))
        # Apart, because the path of a socket has to be short.
        self.sockets = pathlib.Path(tempfile.mkdtemp(prefix="contactd-bench-"))
        if identity:
            for owned in (self.folder, self.sockets):
                os.chown(owned, identity["user"], identity["group"])
        try:
            self._start(identity)
        except BaseException:
            self._remove()
            raise

    def _start(self, identity):
        data = self.folder / "data"
        run([POSTGRES_BIN / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
             "--locale=C.UTF-8"], cwd="/", **identity)
        # Durability stays at its defaults; memory and checkpoints are given room.
        settings = {"listen_addresses": "", "unix_socket_directories": self.sockets,
                    "max_connections": 400, "shared_buffers": "1GB", "max_wal_size": "8GB"}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        super().__init__("(c) PostgreSQL 15", [POSTGRES_BIN / "postgres", "-D", data, *flags],
                         self.work / "postgres.log", None, cwd="/", **identity)
        try:
            self._fill()
        except BaseException:
            super().stop(signal.SIGINT)
            raise

    def _fill(self):
        end = time.monotonic() + 60
        while subprocess.run([POSTGRES_BIN / "pg_isready", "-q", "-h", self.sockets],
                             check=False).returncode != 0:
            if time.monotonic() > end or self.process.poll() is not None:
                said = self.log.read_text(errors="replace").strip()[-2000:]
                raise Failure(f"PostgreSQL does not start: {said}")
            time.sleep(0.1)
        self.psql("-v", f"contacts={self.contacts}", "-v", f"organizations={self.organizations}",
                  "-f", HERE / "postgres" / "schema.sql")

    def psql(self, *arguments):
        return run(["psql", "-X", "-q", "-h", self.sockets, "-U", "postgres", "-d", "postgres",
                    "-v", "ON_ERROR_STOP=1", *arguments])

    def write_lists(self, folder):
        """The files of ids and keys for wrk, the same as schema.sql makes."""
        ids, keys = folder / "postgres.ids", folder / "postgres.keys"
        with ids.open("w") as file:
            file.writelines(f"C{number:019d}\n" for number in range(self.contacts))
        keys.write_text("".join(f"key-{number:040d}\n" for number in range(self.organizations)))
        return ids, keys

    def pgbench(self, connections, seconds):
        # pgbench's time runs while it connects, though its rate leaves that out.
        seconds += connections // 50
        prefix = self.work / "pgbench"
        for old in self.work.glob("pgbench.*"):
            old.unlink()
        said = run([POSTGRES_BIN / "pgbench", "-h", self.sockets, "-U", "postgres", "-n",
                    "-M", "prepared", "-c", connections, "-j", 1, "-T", seconds,
                    "-D", f"contacts={self.contacts}", "-D", f"organizations={self.organizations}",
                    "-f", HERE / "postgres" / "patch.sql", "-l", "--log-prefix", prefix,
                    "postgres"])
        latencies = sorted(int(line.split()[2]) for log in self.work.glob("pgbench.*")
                           for line in log.read_text().splitlines())
        rates = [float(line.split()[2]) for line in said.splitlines() if line.startswith("tps = ")]
        if not rates or not latencies:  # on a very busy machine: not one change in the time given
            return {"rate": 0, "errors": 1, "p50_us": 0, "p99_us": 0}
        return {"rate": rates[0], "errors": 0,
                "p50_us": latencies[int((len(latencies) - 1) * 0.5)],
                "p99_us": latencies[int((len(latencies) - 1) * 0.99)]}

    def freeze(self):
        if not self.frozen:
            self.psql("-c", "CHECKPOINT")  # what it still owes the disk, it pays in its own time
            super().freeze()

    def stop(self, number=signal.SIGINT, wait_s=60):
        code = super().stop(number, wait_s)
        self._remove()
        return code

    def _remove(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)


class Fastify(Peer):
    """Peer (d), on the database of peer (c)."""

    def __init__(self, postgres, place, folder):
        install_fastify(place)
        environment = {**os.environ, "PORT": "0", "PGHOST": str(postgres.sockets),
                       "PGUSER": "postgres", "PGDATABASE": "postgres", "NODE_ENV": "production"}
        super().__init__("(d) fastify + PostgreSQL", ["node", place / "server.js"],
                         folder / "fastify.log", "fastify ready ", env=environment)

    def prove(self, ids, keys):
        path = f"/api/v1/contacts/{ids.read_text().partition(chr(10))[0]}"
        key = keys.read_text().partition("\n")[0]
        value = secrets.token_hex(4)
        answer = ask(self.address, "PATCH", path, key, {"first_name": value, "tags": [value]})
        contact = expect(200, answer, "PATCH on fastify")
        if contact["first_name"] != value or contact["tags"] != [value]:
            raise Failure("fastify does not answer with what it was told")


def install_fastify(place):
    """Installs what package-lock.json pins into `place`, unless that was done before."""
    place.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "server.js"):
        shutil.copyfile(HERE / "fastify" / name, place / name)
    lock, done = HERE / "fastify" / "package-lock.json", place / "installed-lock.json"
    if done.exists() and done.read_text() == lock.read_text():
        return
    shutil.copyfile(lock, place / "package-lock.json")
    run(["npm", "ci", "--omit=dev", "--no-audit", "--no-fund", "--ignore-scripts"], cwd=place)
    shutil.copyfile(lock, done)


def wrk(script, address, ids, keys, connections, seconds):
    said = run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s", "-s",
                HERE / "wrk" / script, f"http://{address}", "--", ids, keys])
    line = next((line for line in said.splitlines() if line.startswith("{")), None)
    if line is None:
        raise Failure(f"wrk did not report: {said[-500:]}")
    counted = json.loads(line)
    return {"rate": counted["requests"] / counted["duration_s"],
            "errors": counted["errors"] + counted["socket_errors"],
            "p50_us": counted["p50_us"], "p99_us": counted["p99_us"]}


def fdatasync(build, folder, records):
    return json.loads(run([build / "bench_fdatasync", "--dir", folder, "--records", records]))
