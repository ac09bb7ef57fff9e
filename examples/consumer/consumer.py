#!/usr/bin/python3
"""Adds the events on contactd's topic up to the contacts, and prints those as JSON.

    consumer.py HOST:PORT [TOPIC]

Reads every partition from its beginning to its present end, and only what was committed. Needs
confluent-kafka: `apt-get install python3-confluent-kafka`, or `pip install confluent-kafka`. With
TRACE=1 in the environment, each event of a contact is a line on standard error as well.
"""

import json
import os
import sys

import confluent_kafka as kafka


def records(bootstrap, topic):
    """The topic's records; in order within a partition, and so within an organization."""
    consumer = kafka.Consumer({
        "bootstrap.servers": bootstrap,
        "group.id": "contactd-example",  # must be there, but nothing is stored under it
        "enable.auto.commit": False,
        "isolation.level": "read_committed",  # else also what was never decided
        "enable.partition.eof": True,
    })
    partitions = consumer.list_topics(topic, timeout=30).topics[topic].partitions
    consumer.assign([kafka.TopicPartition(topic, p, kafka.OFFSET_BEGINNING) for p in partitions])
    unread = set(partitions)
    while unread:
        message = consumer.poll(30)
        if message is None:
            sys.exit("consumer.py: the broker sends nothing of partitions %s" % sorted(unread))
        if message.error() is None:
            yield message
        elif message.error().code() == kafka.KafkaError._PARTITION_EOF:
            unread.discard(message.partition())
        elif not message.error().retriable():
            sys.exit("consumer.py: %s" % message.error())
    consumer.close()


def fold(contacts, event, data):
    """One event; `contacts` are those of its organization, by id."""
    kind, contact_id = event["ce_type"], data["contact_id"]
    known = contacts.get(contact_id, {"version": 0})
    if data["version"] != known["version"] + 1:
        sys.exit("consumer.py: event %s isn't the contact's next one" % event["ce_id"])
    if kind == "contactd.contact.deleted.v1":
        del contacts[contact_id]
    elif kind in ("contactd.contact.created.v1", "contactd.contact.updated.v1"):
        contact = contacts.setdefault(contact_id, {"created_at": event["ce_time"]})
        contact.update({field: change["new"] for field, change in data["changes"].items()})
        contact.update(version=data["version"], updated_at=event["ce_time"])
    else:
        sys.exit("consumer.py: event %s is of the unknown type %s" % (event["ce_id"], kind))


def main(bootstrap, topic="contacts.events"):
    organizations = {}
    for record in records(bootstrap, topic):
        event = {name: value.decode() for name, value in record.headers() or []}
        if not event.get("ce_type", "").startswith("contactd.contact."):
            continue  # another's record, an API key, a writer's claim
        organization, data = event["ce_organization"], json.loads(record.value())
        if "TRACE" in os.environ:
            trace = [organization, event["ce_type"], data["contact_id"], data["version"]]
            print(json.dumps(trace), file=sys.stderr)
        fold(organizations.setdefault(organization, {}), event, data)
    json.dump(organizations, sys.stdout, indent=2, ensure_ascii=False)
    print()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__.strip())
    main(*sys.argv[1:])
