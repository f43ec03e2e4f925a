"""Kafka, a node that is alone: in KRaft mode, and 3 with a ZooKeeper beside it."""

import logging
from pathlib import Path
from uuid import uuid4

from kafka import KafkaConsumer, KafkaProducer  # type: ignore[import-untyped]
from kafka.admin import KafkaAdminClient  # type: ignore[import-untyped]

from tests.middleware import java_runtime_archive, kafka_archive, zookeeper_archive
from tests.middleware.archives import Package
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.together import Together
from tests.servers.process import free_port

JAVA = "21.0.8"
CLUSTER_ID = "towline-cluster-000001"
RECORDS = tuple(f"record {number}" for number in range(5))
logging.getLogger("kafka").setLevel(logging.CRITICAL)


def address(service: Service) -> str:
    """Where its clients ask."""
    return f"127.0.0.1:{service.parameters['port']}"


def produce(service: Service, topic: str, *records: str) -> None:
    """Each record, answered by all replicas that are in sync."""
    producer = KafkaProducer(bootstrap_servers=address(service), acks="all", max_block_ms=30_000)
    try:
        for sent in [producer.send(topic, record.encode()) for record in records]:
            sent.get(timeout=30)
    finally:
        producer.close(timeout=5)


def consume(service: Service, topic: str) -> tuple[str, ...]:
    """All that is there, from the beginning."""
    consumer = KafkaConsumer(
        topic, bootstrap_servers=address(service), auto_offset_reset="earliest", consumer_timeout_ms=2_000
    )
    try:
        return tuple(record.value.decode() for record in consumer)
    finally:
        consumer.close()


def _probe(service: Service) -> str:
    """A record there and back; and what its own metadata says of its members."""
    topic, record = "probe", uuid4().hex
    produce(service, topic, record)
    assert eventually(60, lambda: consume(service, topic)[-1:] == (record,))
    admin = KafkaAdminClient(bootstrap_servers=address(service))
    try:
        brokers = admin.describe_cluster()["brokers"]
    finally:
        admin.close()
    return f"{len(brokers)} broker in its metadata; a record is produced and consumed"


def _properties(service: Service) -> str:
    text = (service.root / "etc/server.properties").read_text("ascii")
    return text.partition("# The parameter properties\n")[2].removesuffix("\n").replace("\\\\", "\\")


def packages(version: str) -> dict[str, Package]:
    """Kafka with a Java of its own."""
    return {"server": kafka_archive(version), "jdk": java_runtime_archive(JAVA)}


def _software(version: str) -> Software:
    return Software(name="Kafka", version=version, packages=lambda: packages(version))


def beside_zookeeper(service: Service) -> None:
    """A real ZooKeeper in a prefix of its own; from now on the service keeps its metadata there."""
    keeper = Service(
        kind="zookeeper",
        name="keeper",
        folder=service.folder / "beside",
        version="3.8.4",
        packages={"server": zookeeper_archive("3.8.4"), "jdk": java_runtime_archive(JAVA)},
        parameters={"port": str(free_port()), "max_heap": "128mb", "log_level": "WARN"},
    )
    keeper.do("install", "configure", "start")
    service.parameters["zookeeper_connect"] = f"127.0.0.1:{keeper.parameters['port']}/kafka"
    del service.parameters["metadata_version"]


def three(version: str, folder: Path) -> list[Service]:
    """Nodes that are broker and controller each, as their documents tell them."""
    ports = [free_port() for _ in range(3)]
    voters = ", ".join(f"{number}@127.0.0.1:{port}" for number, port in enumerate(ports, start=1))
    return [
        Service(
            kind="kafka",
            name=f"node-{number}",
            folder=folder,
            version=version,
            packages=packages(version),
            parameters={
                **CASE.parameters(free_port()),
                "node_id": str(number),
                "voters": voters,
                "controller_port": str(port),
                "cluster_id": CLUSTER_ID,
                "partitions": "1",
                "replication": "3",
                "min_insync_replicas": "2",
                "stop_timeout": "10s",
            },
        )
        for number, port in enumerate(ports, start=1)
    ]


def cluster(software: Software, folder: Path) -> str:
    """Records sent to one are there with all; one is killed, and missed by the others."""
    if software.first:
        return "run in KRaft mode"
    together = Together(
        members=three(software.version, folder),
        write=lambda service, text: produce(service, "kept", text),
        read=lambda service: consume(service, "kept"),
    )
    missed = "1 partitions have replicas that are not in sync"
    together.form().tell(0, "first").lose(2, missed, everybody=True).tell(1, "second").comes_back(2, "second")
    return (
        f"three: what one is sent, all have; one killed with -9, the others say: {missed}; it comes back, nothing lost"
    )


CASE = Case(
    version="4.1.0",
    packages=lambda: packages("4.1.0"),
    parameters=lambda port: {
        "port": str(port),
        "controller_port": str(free_port()),
        "max_heap": "256mb",
        "metadata_version": "3.9",
        "auto_create_topics": "true",
        "log_level": "WARN",
        "jvm_options": "-XX:TieredStopAtLevel=1",
        "stop_timeout": "20s",
    },
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("bind", "[::]"),
        ("advertised", "kafka.example"),
        ("roles", "broker"),
        ("roles", "zookeeper"),
        ("node_id", "-1"),
        ("voters", "1@127.0.0.1"),
        ("voters", "2@127.0.0.1:9093"),
        ("zookeeper_connect", "127.0.0.1:2181"),
        ("cluster_id", "mine"),
        ("metadata_version", "latest"),
        ("log_folders", "../log"),
        ("replication", "0"),
        ("min_insync_replicas", "2"),
        ("retention", "1s"),
        ("segment_size", "2gb"),
        ("max_heap", "1mb"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("open_files", "10"),
        ("properties", "log.dirs=/"),
        ("properties", "no setting"),
        ("properties", "compression.type=ünïcödé"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/log/"),
    arrives={"properties": _properties},
    real=Real(
        software=(
            _software("3.9.1"),
            _software("4.1.0"),
            Software(
                name="Kafka with ZooKeeper 3.8.4",
                version="3.9.1",
                packages=lambda: packages("3.9.1"),
                prepare=beside_zookeeper,
                first=True,
            ),
        ),
        probe=_probe,
        write=lambda service: produce(service, "kept", *RECORDS),
        read=lambda service: consume(service, "kept") == RECORDS,
        restarted={"max_heap": "288mb", "properties": "log.cleaner.threads=2"},
        cluster=cluster,
        cost_s=300,
    ),
)
