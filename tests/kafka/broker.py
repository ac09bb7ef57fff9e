#!/usr/bin/env python3
"""Apache Kafka for tests, from its published Java artifacts. Standard library only.

    broker.py fetch                        have Maven copy the artifacts into build/kafka/VERSION
    broker.py available                    exit code 1 and the reason if no broker could be started
    broker.py start [--brokers 1|3]        start a cluster of this tree's own, print its address
    broker.py status                       its processes and whether they answer; exit code 1 if not
    broker.py stop                         end it and remove all that it wrote

A cluster lives in a directory, which a test program may keep for itself:

    broker.py prepare DIRECTORY [--brokers 1|3]   settings, ports, formatted storage; prints the
                                                  address that clients start from
    broker.py exec DIRECTORY BROKER        become that broker (1, 2 or 3): same ports, same data
    broker.py wait DIRECTORY [BROKER...]   until these (default: all) take part and answer
    broker.py leader DIRECTORY TOPIC PARTITION    print the number of the broker that leads it

Each broker is one JVM, broker and KRaft controller at once, on 127.0.0.1. Settings are made for
quick starts and small data, not for speed.
"""

import argparse
import base64
import fcntl
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
import xml.etree.ElementTree

from metadata import HOST, metadata

ROOT = pathlib.Path(__file__).resolve().parents[2]
POM = ROOT / "tests" / "kafka" / "pom.xml"
CACHE = ROOT / "build" / "kafka"
OWN = CACHE / "cluster.json"  # where the cluster of start, status and stop is

START_WAIT_MAX_S = 60
STOP_WAIT_MAX_S = 15
ARCHIVE_WAIT_MAX_S = 60
POLL_S = 0.05
LOG_LINES_SHOWN = 20
JVM = ["-Xms128m", "-Xmx256m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
       "-Xlog:cds=off", "-Xlog:cds+dynamic=off", "-Djava.awt.headless=true"]


class Failure(Exception):
    """What happened, to what, and what to do."""


def version():
    space = {"m": "http://maven.apache.org/POM/4.0.0"}
    return xml.etree.ElementTree.parse(POM).findtext("m:properties/m:kafka.version", None, space)


def jars():
    return CACHE / version()


def archive():
    """Kafka's classes as the JVM has them once loaded, which halves the work of a start."""
    return CACHE / f"{version()}.jsa"


# ---- artifacts ----------------------------------------------------------------------------------


def why_unavailable():
    """Why no broker can be started; None if one can."""
    if not shutil.which("java"):
        return "there is no Java here (Debian: default-jre-headless)"
    if not jars().is_dir():
        return f"Apache Kafka {version()} isn't in {jars().relative_to(ROOT)}: ./dev kafka fetch"
    return None


def fetch():
    if jars().is_dir():
        return
    if not shutil.which("mvn"):
        raise Failure("there is no Maven here to fetch Apache Kafka with (Debian: maven)")
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if jars().is_dir():
            return
        # Renamed when whole, so that what is there can be used.
        part = CACHE / f"{version()}.part"
        shutil.rmtree(part, ignore_errors=True)
        done = subprocess.run(
            ["mvn", "-B", "-q", "-f", POM, "dependency:copy-dependencies",
             "-DincludeScope=runtime", f"-DoutputDirectory={part}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        if done.returncode != 0:
            raise Failure(f"Maven could not fetch Apache Kafka {version()}:\n{done.stdout.strip()}")
        part.rename(jars())
        make_archive()


def make_archive():
    """Starts and ends a broker; without its archive everything works, only slower."""
    part = archive().with_suffix(".part")
    with tempfile.TemporaryDirectory(prefix="contactd-kafka-") as directory:
        cluster = prepare(directory, 1)
        command = kafka(cluster, 1)
        command.insert(1, f"-XX:ArchiveClassesAtExit={part}")
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait(cluster, cluster.brokers(), gone=lambda _: process.poll() is not None)
            process.terminate()
            process.wait(ARCHIVE_WAIT_MAX_S)
            part.rename(archive())
        except (Failure, OSError, subprocess.TimeoutExpired) as error:
            print(f"broker.py: brokers will start slowly: {error}", file=sys.stderr)
        finally:
            process.kill()
            process.wait()


def java(directory, main, *arguments):
    shared = [f"-XX:SharedArchiveFile={archive()}"] if archive().exists() else []
    logging = f"-Dlog4j.configuration=file:{directory}/log4j.properties"
    return ["java", *JVM, *shared, logging, "-cp", f"{jars()}/*", main, *map(str, arguments)]


def kafka(cluster, broker):
    return java(cluster.directory.resolve(), "kafka.Kafka", cluster.properties(broker))


# ---- a cluster's directory ----------------------------------------------------------------------


class Cluster:
    """The settings of a cluster as they are written down in its directory."""

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        path = self.directory / "cluster.json"
        try:
            self.ports = json.loads(path.read_text(encoding="utf-8"))["ports"]
        except FileNotFoundError as error:
            raise Failure(f"there is no cluster in {directory}") from error

    def brokers(self):
        return range(1, len(self.ports) + 1)

    def port(self, broker):
        return self.ports[broker - 1][0]

    def bootstrap(self):
        return ",".join(f"{HOST}:{self.port(broker)}" for broker in self.brokers())

    def properties(self, broker):
        return self.directory / str(broker) / "server.properties"

    def log(self, broker):
        return self.directory / str(broker) / "broker.log"


def free_ports(count):
    """Ports below those that the system gives to outgoing connections: a broker that is away for a
    while must find its own still free."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="utf-8") as file:
        below = min(int(file.read().split()[0]), 32768)
    ports = []
    while len(ports) < count:
        port = random.randrange(max(below - 12000, 1024), below)
        with socket.socket() as candidate:
            try:
                candidate.bind((HOST, port))
            except OSError:
                continue
        if port not in ports:
            ports.append(port)
    return ports


def settings(directory, broker, ports):
    count = len(ports)
    voters = ",".join(f"{i}@{HOST}:{controller}" for i, (_, controller) in enumerate(ports, 1))
    port, controller = ports[broker - 1]
    in_sync_min = 2 if count > 1 else 1
    return f"""\
process.roles=broker,controller
node.id={broker}
controller.quorum.voters={voters}
listeners=BROKER://{HOST}:{port},CONTROLLER://{HOST}:{controller}
advertised.listeners=BROKER://{HOST}:{port}
listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=BROKER
controller.listener.names=CONTROLLER
log.dirs={directory}/{broker}/data

default.replication.factor={count}
min.insync.replicas={in_sync_min}
auto.create.topics.enable=false
offsets.topic.num.partitions=1
offsets.topic.replication.factor={count}
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor={count}
transaction.state.log.min.isr={in_sync_min}

# Quick to start, to notice and to come back.
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
broker.session.timeout.ms=2000
broker.heartbeat.interval.ms=300
controller.quorum.election.timeout.ms=500
controller.quorum.fetch.timeout.ms=1000
# Small.
log.cleaner.dedupe.buffer.size=2097152
num.network.threads=2
num.io.threads=4
"""


LOGGING = """\
log4j.rootLogger=WARN, out
log4j.logger.kafka.server.KafkaRaftServer=INFO
log4j.appender.out=org.apache.log4j.ConsoleAppender
log4j.appender.out.layout=org.apache.log4j.PatternLayout
log4j.appender.out.layout.ConversionPattern=%d{ISO8601} %p %c: %m%n
"""


def prepare(directory, count):
    reason = why_unavailable()
    if reason:
        raise Failure(reason)
    directory = pathlib.Path(directory).resolve()
    picked = free_ports(2 * count)
    ports = list(zip(picked[0::2], picked[1::2]))
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "log4j.properties").write_text(LOGGING, encoding="utf-8")
    (directory / "cluster.json").write_text(json.dumps({"ports": ports}), encoding="utf-8")
    cluster = Cluster(directory)
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()
    if cluster_id.startswith("-"):  # it would look like an option
        cluster_id = "A" + cluster_id[1:]
    formatting = []
    for broker in cluster.brokers():
        cluster.properties(broker).parent.mkdir()
        cluster.properties(broker).write_text(settings(directory, broker, ports), encoding="utf-8")
        formatting.append(subprocess.Popen(
            java(directory, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c",
                 cluster.properties(broker)),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
    for process in formatting:
        output, _ = process.communicate()
        if process.returncode != 0:
            raise Failure(f"Kafka's StorageTool could not format {directory}:\n{output.strip()}")
    return cluster


def become(cluster, broker):
    """The process is the broker's from here on; what it says goes to its log."""
    command = kafka(cluster, broker)
    log = os.open(cluster.log(broker), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.execvp(command[0], command)


# ---- asking a broker ----------------------------------------------------------------------------


def answers(cluster, broker, expected):
    """Whether the broker answers and sees all the expected ones take part."""
    try:
        alive, _ = metadata(cluster.port(broker))
    except OSError:
        return False
    return set(expected) <= set(alive)


def log_end(cluster, broker):
    path = cluster.log(broker)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    return "\n".join(lines[-LOG_LINES_SHOWN:])


def wait(cluster, brokers, gone=lambda broker: False):
    deadline = time.monotonic() + START_WAIT_MAX_S
    for broker in brokers:
        while not answers(cluster, broker, brokers):
            if gone(broker) or time.monotonic() > deadline:
                what = "ended" if gone(broker) else f"doesn't answer after {START_WAIT_MAX_S} s"
                raise Failure(f"broker {broker} {what}; its log ends with:\n"
                              f"{log_end(cluster, broker)}")
            time.sleep(POLL_S)


def leader(cluster, topic, partition):
    deadline = time.monotonic() + START_WAIT_MAX_S
    while time.monotonic() < deadline:
        for broker in cluster.brokers():
            try:
                found = metadata(cluster.port(broker), [topic])[1].get((topic, partition))
            except OSError:
                continue
            if found:
                return found
        time.sleep(POLL_S)
    raise Failure(f"nobody leads partition {partition} of topic '{topic}'")


# ---- this tree's own cluster --------------------------------------------------------------------


def is_running(pid):
    """A zombie doesn't run: whoever started it hasn't looked yet."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def own():
    """The cluster that start started and its processes' ids; nothing if there is none."""
    try:
        state = json.loads(OWN.read_text(encoding="utf-8"))
        return Cluster(state["directory"]), state["pids"]
    except (FileNotFoundError, Failure):
        return None, []


def start(count):
    cluster, pids = own()
    if cluster and any(map(is_running, pids)):
        raise Failure(f"a broker runs already at {cluster.bootstrap()}; ./dev kafka stop ends it")
    fetch()
    directory = tempfile.mkdtemp(prefix="contactd-kafka-")
    pids = []
    try:
        cluster = prepare(directory, count)
        for broker in cluster.brokers():
            process = subprocess.Popen([sys.executable, __file__, "exec", directory, str(broker)],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL, start_new_session=True)
            pids.append(process.pid)
        OWN.write_text(json.dumps({"directory": directory, "pids": pids}), encoding="utf-8")
        wait(cluster, cluster.brokers(), gone=lambda broker: not is_running(pids[broker - 1]))
    except BaseException:
        end(directory, pids)
        raise
    print(cluster.bootstrap())


def status():
    cluster, pids = own()
    if not cluster:
        print("no broker runs; ./dev kafka start starts one")
        return 1
    every = True
    for broker in cluster.brokers():
        answering = answers(cluster, broker, [broker])
        running = is_running(pids[broker - 1])
        every = every and answering
        said = "answers" if answering else "doesn't answer" if running else "has ended"
        print(f"broker {broker}: {HOST}:{cluster.port(broker)}, process {pids[broker - 1]}, {said}")
    print(f"bootstrap: {cluster.bootstrap()}")
    return 0 if every else 1


def end(directory, pids):
    """At once, since what a test wrote is thrown away."""
    for pid in filter(is_running, pids):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + STOP_WAIT_MAX_S
    while any(map(is_running, pids)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    shutil.rmtree(directory, ignore_errors=True)
    OWN.unlink(missing_ok=True)


def stop():
    cluster, pids = own()
    if cluster:
        end(cluster.directory, pids)


# ---- command line -------------------------------------------------------------------------------


def arguments():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("fetch", "available", "status", "stop"):
        commands.add_parser(name)
    for name in ("start", "prepare"):
        command = commands.add_parser(name)
        if name == "prepare":
            command.add_argument("directory")
        command.add_argument("--brokers", type=int, choices=(1, 3), default=1)
    command = commands.add_parser("exec")
    command.add_argument("directory")
    command.add_argument("broker", type=int)
    command = commands.add_parser("wait")
    command.add_argument("directory")
    command.add_argument("brokers", type=int, nargs="*")
    command = commands.add_parser("leader")
    command.add_argument("directory")
    command.add_argument("topic")
    command.add_argument("partition", type=int)
    return parser.parse_args()


def main(given):
    match given.command:
        case "fetch":
            fetch()
        case "available":
            reason = why_unavailable()
            if reason:
                print(reason)
                return 1
        case "start":
            start(given.brokers)
        case "status":
            return status()
        case "stop":
            stop()
        case "prepare":
            print(prepare(given.directory, given.brokers).bootstrap())
        case "exec":
            become(Cluster(given.directory), given.broker)
        case "wait":
            cluster = Cluster(given.directory)
            wait(cluster, given.brokers or cluster.brokers())
        case "leader":
            print(leader(Cluster(given.directory), given.topic, given.partition))
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(arguments()))
    except Failure as failure:
        print(f"broker.py: {failure}", file=sys.stderr)
        sys.exit(1)
