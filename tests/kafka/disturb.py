#!/usr/bin/python3
"""Puts onto a topic what no consumer may take for a fact.

    disturb.py HOST:PORT TOPIC ORGANIZATION CONTACT

On every partition: a record that isn't contactd's, and a ContactUpdated whose transaction is
aborted.
"""

import json
import sys

import confluent_kafka as kafka

TIMEOUT_S = 30


def main(bootstrap, topic, organization, contact):
    producer = kafka.Producer({
        "bootstrap.servers": bootstrap,
        "transactional.id": topic + ".disturb",
    })
    producer.init_transactions(TIMEOUT_S)
    partitions = producer.list_topics(topic, timeout=TIMEOUT_S).topics[topic].partitions
    producer.begin_transaction()
    for partition in partitions:
        producer.produce(topic, b"not an event", b"someone", partition)
    producer.commit_transaction(TIMEOUT_S)
    headers = {
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": "017f22e2-79b0-7fff-bfff-ffffffffffff",
        "ce_source": "/contactd",
        "ce_type": "contactd.contact.updated.v1",
        "ce_time": "2025-07-15T10:30:00.000Z",
        "ce_subject": contact,
        "ce_contactversion": "99",
        "ce_organization": organization,
        "ce_claim": "0",
        "ce_claimsequence": "1",
    }
    data = {"contact_id": contact, "version": 99,
            "changes": {"company": {"old": None, "new": "never"}}}
    producer.begin_transaction()
    for partition in partitions:
        producer.produce(topic, json.dumps(data), organization, partition,
                         headers=list(headers.items()))
    producer.flush(TIMEOUT_S)
    producer.abort_transaction(TIMEOUT_S)


main(*sys.argv[1:])
