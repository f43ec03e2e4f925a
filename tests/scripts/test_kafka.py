"""kafkactl.sh against real Kafka: storage, versions of the metadata, a cluster of three."""

import os
import signal
from pathlib import Path

import pytest

from puller.kinds.traces import tree
from tests.middleware import java_runtime_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.kafka import CLUSTER_ID, JAVA, RECORDS, consume, packages, produce, three
from tests.servers.process import free_port

CASE = case_of("kafka")


def kafka(folder: Path, name: str = "records", version: str = CASE.version, **parameters: str) -> Service:
    return Service(
        kind="kafka",
        name=name,
        folder=folder,
        version=version,
        packages=packages(version),
        parameters={**CASE.parameters(free_port()), **parameters},
    )


def storage(service: Service, **said: str) -> Path:
    """A storage folder with what its meta.properties says."""
    folder = service.root / "data/log"
    folder.mkdir(parents=True)
    (folder / "meta.properties").write_text("".join(f"{key}={value}\n" for key, value in said.items()))
    return folder


def refused_start(service: Service, code: int) -> str:
    """The reason of a start that begins nothing: data/ stays as it was."""
    before = tree(service.root / "data")
    said = service.call("start")
    assert (code, "stopped") == (said.code, service.state_now()), said.reason
    assert before == tree(service.root / "data")
    return said.reason


def test_storage_of_another_node_is_refused(folder: Path) -> None:
    """The document names node and cluster; a disk that belongs to others is not started on."""
    service = kafka(folder, cluster_id=CLUSTER_ID)
    service.do("install", "configure")
    about = storage(service, **{"version": "1", "cluster.id": CLUSTER_ID, "node.id": "2"})
    assert f"parameter node_id: {about} is of node 2" == refused_start(service, 6)
    (about / "meta.properties").write_text("version=1\ncluster.id=another-cluster-000001\nnode.id=1\n")
    assert f"parameter cluster_id: {about} is of cluster another-cluster-000001" == refused_start(service, 6)


def test_a_folder_with_anything_in_it_is_never_formatted(folder: Path) -> None:
    """Records without their meta.properties are somebody's records."""
    service = kafka(folder)
    service.do("install", "configure")
    records = service.root / "data/log/orders-0/00000000000000000000.log"
    records.parent.mkdir(parents=True)
    records.write_text("an order")
    about = service.root / "data/log"
    assert f"{about} holds something else than formatted storage: it is not touched" == refused_start(service, 1)
    (service.root / "formatting").write_text(f"{about}\n")
    assert f"{about} is half formatted, and holds {records.parent}: it is not touched" == refused_start(service, 1)


def test_storage_that_is_gone_is_not_begun_anew(folder: Path) -> None:
    """A disk that is not mounted looks empty: formatting it would lose the cluster's metadata."""
    service = kafka(folder)
    service.do("install", "configure")
    (service.root / "cluster-id").write_text(f"{CLUSTER_ID}\n")
    said = refused_start(service, 1)
    assert said.startswith(f"the storage of cluster {CLUSTER_ID} is gone from {service.root / 'data/log'}")


def test_a_java_that_is_too_old_is_said(folder: Path) -> None:
    """At install, and not by a class that cannot be read at the start."""
    old = folder / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\"' >&2\n")
    old.chmod(0o755)
    service = kafka(folder, java=str(old))
    del service.packages["jdk"]
    said = service.call("install")
    assert (5, f"needs Java 17 or later; {old} is Java 11") == (said.code, said.reason)
    assert not (service.root / "current").exists()


def test_its_java_is_a_jdk_services(folder: Path) -> None:
    """Installed once for the host; Kafka keeps it in place by a link of its own."""
    jdk = Service(kind="jdk", name="java", folder=folder, version=JAVA, packages={"jdk": java_runtime_archive(JAVA)})
    jdk.do("install", "configure", "start")
    service = kafka(folder, jdk_service="java")
    del service.packages["jdk"]
    service.do("install", "configure")
    assert f"jdk-{JAVA}" == (service.root / "jdk").resolve().name
    assert f"{service.root}/jdk/bin/java" == (service.root / "etc/command").read_text().splitlines()[0]


def test_half_a_format_is_done_again(folder: Path) -> None:
    """Its marker tells that no server ever ran with it; afterwards the storage is whole and used."""
    service = kafka(folder)
    service.do("install", "configure")
    half = storage(service, version="1")
    (half / "bootstrap.checkpoint.tmp").write_text("half")
    (service.root / "formatting").write_text(f"{half}\n")
    service.do("start")
    assert f"cluster.id={(service.root / 'cluster-id').read_text()}" in (half / "meta.properties").read_text()
    assert not (service.root / "formatting").exists()


def test_the_metadata_is_raised_only_when_the_document_says_so(folder: Path) -> None:
    """An upgrade leaves the way back open; raised by the parameter, the older Kafka refuses and the newer goes on."""
    service = kafka(folder, version="3.9.1", metadata_version="")
    service.do("install", "configure", "start")
    produce(service, "kept", *RECORDS)
    became(service, "4.1.0").do("start")
    assert RECORDS == consume(service, "kept")
    became(service, "3.9.1").do("start")
    assert RECORDS == consume(service, "kept")
    became(service, "4.1.0", metadata_version="4.1").do("start")
    assert "0" == service.do("start").changed
    said = became(service, "3.9.1", start_timeout="30s").call("start")
    assert 1 == said.code
    became(service, "4.1.0").do("start")
    assert RECORDS == consume(service, "kept")
    service.parameters["metadata_version"] = "3.9"
    service.do("configure")
    said = service.call("restart")
    assert (1, True) == (said.code, said.reason.startswith("the metadata is not raised to 3.9: ")), said.reason


def became(service: Service, version: str, **parameters: str) -> Service:
    """As the planner goes to another version: stop, install, configure."""
    service.do("stop")
    service.version, service.packages = version, packages(version)
    service.parameters |= parameters
    service.do("install", "configure")
    return service


def test_three_nodes_lose_members_and_are_whole_again(folder: Path) -> None:
    """What each says of the cluster: whole, behind, whole, without a majority; and a stop then ends in time."""
    nodes = three(CASE.version, folder)
    for node in nodes:
        node.do("install", "configure")
    begun = [node.begin("start") for node in nodes]
    assert [0, 0, 0] == [one.wait().code for one in begun]
    assert eventually(60, lambda: ["running"] * 3 == [node.state_now() for node in nodes])
    os.kill(nodes[2].process(), signal.SIGKILL)
    assert eventually(90, lambda: "controllers are missing: 3" == nodes[0].status().reason), nodes[0].status().reason
    nodes[2].do("start")
    produce(nodes[0], "kept", *RECORDS)
    assert eventually(60, lambda: ["running"] * 3 == [node.state_now() for node in nodes])
    os.kill(nodes[2].process(), signal.SIGKILL)
    assert eventually(30, lambda: "replicas that are not in sync" in nodes[0].status().reason)
    assert "degraded" == nodes[1].state_now()
    assert list(RECORDS) == sorted(consume(nodes[0], "kept"))
    produce(nodes[1], "kept", "record of two")
    nodes[2].do("start")
    assert eventually(60, lambda: ["running"] * 3 == [node.state_now() for node in nodes])
    assert [*RECORDS, "record of two"] == sorted(consume(nodes[2], "kept"))
    nodes[2].do("stop")
    os.kill(nodes[1].process(), signal.SIGKILL)
    wanted = "no leader of the controllers answers: a majority of them is needed"
    assert eventually(60, lambda: wanted == nodes[0].status().reason), nodes[0].status().reason
    assert "1" == nodes[0].do("stop").changed
    assert "stopped" == nodes[0].state_now()


def test_kafka_4_knows_no_zookeeper(folder: Path) -> None:
    """The field is named, before anything is touched; and what belongs to KRaft alone is told beside it."""
    service = kafka(folder, zookeeper_connect="zk-1:2181,zk-2:2181/kafka", metadata_version="")
    said = service.call("install")
    assert (6, "parameter zookeeper_connect: Kafka 4.1.0 knows no ZooKeeper: 3.9 is the last that does") == (
        said.code,
        said.reason,
    )
    assert not (service.root / "current").exists()
    service = kafka(folder, version="3.9.1", zookeeper_connect="zk-1", cluster_id=CLUSTER_ID, roles="controller")
    reason = service.call("install").reason
    for name in ("zookeeper_connect", "roles", "cluster_id", "metadata_version"):
        assert f"parameter {name}: " in reason


def test_storage_of_kraft_is_not_taken_with_zookeeper(folder: Path) -> None:
    """Nor the other way: which of the two wrote it, its meta.properties tells; and membership means nothing there."""
    service = kafka(folder, version="3.9.1", zookeeper_connect="127.0.0.1:1/kafka", metadata_version="")
    service.parameters |= {"voters": "1@a:9093,2@b:9093"}
    service.do("install", "configure")
    lines = (service.root / "etc/server.properties").read_text().splitlines()
    assert {"broker.id=1", "zookeeper.connect=127.0.0.1:1/kafka"} <= set(lines)
    assert [] == [line for line in lines if line.startswith(("process.roles", "node.id", "controller."))]
    about = storage(service, **{"version": "1", "cluster.id": CLUSTER_ID, "node.id": "1"})
    wanted = f"parameter zookeeper_connect: {about} was written by KRaft, and is not turned into the other"
    assert wanted == refused_start(service, 6)
    service.parameters |= {"zookeeper_connect": "", "voters": ""}
    service.do("configure")
    (about / "meta.properties").write_text(f"version=0\ncluster.id={CLUSTER_ID}\nbroker.id=1\n")
    wanted = f"parameter zookeeper_connect: {about} was written with ZooKeeper, and is not turned into the other"
    assert wanted == refused_start(service, 6)


@pytest.mark.parametrize("node_id", ["1", "4"])
def test_a_member_must_fit_its_cluster(folder: Path, node_id: str) -> None:
    """A controller is one of the voters with its port, a broker alone is none of them."""
    service = kafka(folder, node_id=node_id, cluster_id=CLUSTER_ID, voters="1@a:9093,2@b:9093,3@c:9093")
    for roles, fits in (("both", "1"), ("controller", "1"), ("broker", "4")):
        service.parameters |= {"roles": roles, "controller_port": "9093"}
        said = service.call("install")
        assert (0 if fits == node_id else 6) == said.code, said.reason
