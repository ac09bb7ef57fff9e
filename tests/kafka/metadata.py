"""Asks a Kafka broker of this machine who takes part and who leads, in Kafka's own protocol."""

import socket
import struct

HOST = "127.0.0.1"
ANSWER_WAIT_MAX_S = 5
METADATA, METADATA_VERSION = 3, 4


class Reader:
    """Reads Kafka's big-endian types off a response."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        (value,) = struct.unpack_from(">" + form, self.data, self.at)
        self.at += struct.calcsize(">" + form)
        return value

    def string(self):
        length = self.take("h")
        text = self.data[self.at : self.at + max(length, 0)].decode()
        self.at += max(length, 0)
        return text

    def array(self, item):
        return [item() for _ in range(max(self.take("i"), 0))]


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise ConnectionError("the broker closed the connection")
        data += part
    return data


def metadata(port, topics=()):
    """The numbers of the brokers that take part, and {(topic, partition): leader}, as the broker at
    the port sees it. Raises OSError where it doesn't answer."""
    names = b"".join(struct.pack(">h", len(topic)) + topic.encode() for topic in topics)
    body = struct.pack(">i", len(topics)) + names + b"\0"  # don't create topics
    client = b"broker.py"
    head = struct.pack(">hhih", METADATA, METADATA_VERSION, 1, len(client)) + client
    with socket.create_connection((HOST, port), timeout=ANSWER_WAIT_MAX_S) as connection:
        connection.sendall(struct.pack(">i", len(head + body)) + head + body)
        (size,) = struct.unpack(">i", receive(connection, 4))
        reader = Reader(receive(connection, size))
    reader.take("i"), reader.take("i")  # correlation, throttle time

    def broker():
        number = reader.take("i")
        reader.string(), reader.take("i"), reader.string()
        return number

    alive = reader.array(broker)
    reader.string(), reader.take("i")  # cluster id, controller
    leaders = {}

    def partition(topic):
        error, number, leader = reader.take("h"), reader.take("i"), reader.take("i")
        reader.array(lambda: reader.take("i")), reader.array(lambda: reader.take("i"))
        leaders[topic, number] = None if error or leader < 0 else leader

    def topic():
        reader.take("h")
        name = reader.string()
        reader.take("b")
        reader.array(lambda: partition(name))

    reader.array(topic)
    return alive, leaders
