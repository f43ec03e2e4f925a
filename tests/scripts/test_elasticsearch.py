"""elasticsearchctl.sh: what it says of a cluster, refuses, and writes. On the stand-in; three real nodes at the end."""

import json
import os
import signal
from pathlib import Path

import pytest
from msgspec.structs import replace

from tests.middleware.maven import NoMaven
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.elasticsearch import ask, parameters, read, three, write
from tests.servers.process import free_port

CASE = case_of("elasticsearch")
PEM = "-----BEGIN {0}-----\nMIIB\n-----END {0}-----"


def search(folder: Path, name: str = "search", **changes: str) -> Service:
    """One stand-in, open to all, on a disk that is half full whatever the machine's own is."""
    service = Service(
        kind="elasticsearch",
        name=name,
        folder=folder,
        version=CASE.version,
        packages=CASE.packages(),
        parameters={**parameters(free_port()), **changes},
    )
    service.programs = folder / "programs"
    disk(service, used=50)
    return service


def disk(service: Service, *, used: int) -> None:
    """From now on so many percent of its disk are in use: what df says."""
    assert service.programs
    service.programs.mkdir(exist_ok=True)
    program = service.programs / "df"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '1B-blocks Avail' '{10**12} {10**10 * (100 - used)}'\n")
    program.chmod(0o755)


def settings(service: Service) -> dict[str, object]:
    """What elasticsearch.yml says."""
    text = (service.root / "etc/elasticsearch.yml").read_text("utf-8")
    return {k: v for line in text.splitlines() if line[:1] == '"' for k, v in json.loads("{" + line + "}").items()}


def says(service: Service, **health: object) -> tuple[str, str]:
    """State and reason, once the cluster's health is that."""
    (service.root / "data/db/health").write_text(json.dumps(health))
    said = service.status()
    return said.facts["state"], said.reason


def test_each_trouble_of_a_cluster_has_its_words(folder: Path) -> None:
    """Red, too few nodes, yellow, no master, a refused password: degraded, and running again when it is over."""
    service = search(folder, expected_nodes="3")
    service.do("install", "configure", "start")
    whole = {"status": "green", "number_of_nodes": 3}
    assert ("running", "") == says(service, **whole)
    told = says(service, status="red", number_of_nodes=3, unassigned_shards=2, initializing_shards=1)
    assert ("degraded", "is red: indexes are not whole, 3 shards have no node that is ready") == told
    told = says(service, status="yellow", number_of_nodes=2, unassigned_shards=1)
    assert ("degraded", "2 of 3 nodes are in the cluster") == told
    told = says(service, status="yellow", number_of_nodes=3, unassigned_shards=4)
    assert ("degraded", "is yellow: 4 replicas of shards have no node that is ready") == told
    told = says(service, **whole, http=503)
    assert ("degraded", "has no master: a majority of the nodes that may be one is needed") == told
    assert ("degraded", "refuses the password of the user elastic (HTTP 401)") == says(service, **whole, http=401)
    assert ("running", "") == says(service, **whole)


def test_yellow_is_well_where_the_document_says_so(folder: Path) -> None:
    """A node that is alone never has a place for replicas. Red is red."""
    service = search(folder, least_status="yellow")
    service.do("install", "configure", "start")
    assert ("running", "") == says(service, status="yellow", unassigned_shards=4)
    assert "degraded" == says(service, status="red", unassigned_shards=4)[0]


def test_a_disk_at_its_watermark_is_degraded(folder: Path) -> None:
    """Which of the three, and how full it is."""
    service = search(folder, watermarks="60 70 80")
    service.do("install", "configure", "start")
    told = {}
    for used in (59, 61, 71, 81):
        disk(service, used=used)
        told[used] = service.state_now(), service.status().reason
    assert told == {
        59: ("running", ""),
        61: ("degraded", "disk: 61 % in use, above its low watermark: it gets no more shards"),
        71: ("degraded", "disk: 71 % in use, above its high watermark: shards are given away"),
        81: ("degraded", "disk: 81 % in use, above its flood stage: its indexes are written to no more"),
    }


def test_a_node_founds_its_cluster_once(folder: Path) -> None:
    """The first masters are named until it has been in its cluster; a lost disk then cannot found a second one."""
    ports = free_port(), free_port()
    seeds = f"127.0.0.1:{ports[0]}, 127.0.0.1:{ports[1]}"
    service = search(folder, seeds=seeds, initial_masters="search, other", expected_nodes="1")
    service.do("install", "configure", "start")
    first = (service.root / "run/launch/command").read_text()
    assert "-Ecluster.initial_master_nodes=search,other" in first
    assert f"127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}" == settings(service)["discovery.seed_hosts"]
    service.do("restart")
    assert "initial_master_nodes" not in (service.root / "run/launch/command").read_text()
    service.do("stop")
    (service.root / "data/db").rename(folder / "elsewhere")
    said = service.call("start")
    assert (1, True) == (said.code, f"the data of cluster search is gone from {service.root}/data/db" in said.reason)


def test_data_of_a_newer_series_is_refused(folder: Path) -> None:
    """Before the program sees it; the way forward is open."""
    service = search(folder)
    service.do("install", "configure", "start", "stop")
    (service.root / "data-version").write_text("Elasticsearch 9.1.0\n")
    said = service.call("start")
    assert (6, True) == (said.code, "written by Elasticsearch 9.1, and 8.19 does not take it back" in said.reason)
    (service.root / "data-version").write_text("OpenSearch 2.19.1\n")
    assert "its data is that of OpenSearch 2.19.1" in service.call("start").reason
    (service.root / "data-version").write_text("Elasticsearch 7.17.29\n")
    assert "1" == service.do("start").changed


def test_security_needs_what_it_needs(folder: Path) -> None:
    """A password; among several nodes certificates; and an archive that has it."""
    service = search(folder, security="true")
    assert "parameter password: is needed for security" in service.call("install").reason
    service.secrets["password"] = "long enough"
    service.parameters |= {"seeds": "a:9300,b:9300"}
    assert "parameter transport_certificate: is needed for security" in service.call("install").reason
    service.parameters |= {
        "transport_certificate": PEM.format("CERTIFICATE"),
        "transport_ca": PEM.format("CERTIFICATE"),
    }
    service.secrets["transport_key"] = PEM.format("PRIVATE KEY")
    service.do("install", "configure")
    assert settings(service)["xpack.security.transport.ssl.enabled"] is True
    assert str(service.root / "etc/transport.key") == settings(service)["xpack.security.transport.ssl.key"]
    assert 0o600 == (service.root / "etc/transport.key").stat().st_mode & 0o777
    module = (service.root / "current").resolve() / "modules/x-pack-security"
    module.rename(folder / "taken-out")
    said = service.call("configure")
    assert (6, True) == (said.code, "this archive has no modules/x-pack-security" in said.reason)


def test_another_password_is_another_keystore(folder: Path) -> None:
    """The digest tells of it; the same one again changes nothing."""
    service = search(folder, security="true")
    service.secrets["password"] = "the first one"
    before = service.do("install", "configure").facts["config"]
    keystore = service.root / "etc/elasticsearch.keystore"
    assert "bootstrap.password=the first one" in keystore.read_text()
    assert ("0", before) == ((said := service.do("configure")).changed, said.facts["config"])
    service.secrets["password"] = "the second one"
    assert before != service.do("configure").facts["config"]
    assert "bootstrap.password=the second one" in keystore.read_text()
    keystore.unlink()
    assert ("1", True) == (service.do("configure").changed, keystore.exists())


def test_roles_are_said_in_the_words_of_the_version(folder: Path) -> None:
    """And none is the empty list."""
    service = search(folder, roles="master, data")
    service.do("install", "configure")
    assert "master,data" == settings(service)["node.roles"]
    service.parameters["roles"] = "none"
    service.do("configure")
    assert '"node.roles": []\n' in (service.root / "etc/elasticsearch.yml").read_text()


def test_upstreams_options_are_kept_but_for_heap_and_places(folder: Path) -> None:
    """A module that this Java does not have is left out."""
    service = search(folder, max_heap="256mb", jvm_options="-Da=b")
    service.do("install")
    program = (service.root / "current").resolve()
    (program / "jdk/release").write_text('MODULES="java.base java.logging"\n')
    with (program / "config/jvm.options").open("a") as file:
        file.write("20-:--add-modules=jdk.incubator.vector\n")
    service.do("configure")
    lines = (service.root / "etc/jvm.options").read_text().splitlines()[1:]
    assert ["-XX:+UseG1GC", "-Xms268435456", "-Xmx268435456"] == lines[:3]
    assert (f"-XX:HeapDumpPath={service.root}/data", "-Da=b") == (lines[3], lines[-1])


def test_a_java_that_is_too_old_is_said(folder: Path) -> None:
    """At install, and not by a class that cannot be read at the start."""
    old = folder / "java"
    old.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n")
    old.chmod(0o755)
    said = search(folder, java=str(old)).call("install")
    assert (5, f"needs Java 17 or later; {old} is Java 8") == (said.code, said.reason)


def test_a_launcher_that_dies_takes_its_child_along(folder: Path) -> None:
    """Elasticsearch 8 is two processes: the one that is gone is seen, and the next start has the port."""
    service = search(folder)
    service.do("install", "configure", "start")
    os.kill(service.process(), signal.SIGKILL)
    assert eventually(60, lambda: service.state_now() == "stopped")
    service.do("start")
    assert [service.parameters["port"]] == service.status().all("port")


@pytest.mark.skipif(
    "TOWLINE_TEST_CLUSTERS" not in os.environ, reason="three servers of 600 MiB: TOWLINE_TEST_CLUSTERS=1"
)
def test_three_real_nodes_lose_a_member_and_are_whole_again(folder: Path) -> None:
    """What the others say meanwhile, and that no document is lost."""
    try:
        (software,) = [one for one in CASE.real.software if one.version == "7.17.29"]
        nodes = three(replace(software, parameters={"security": "false"}), folder)
    except NoMaven as error:
        pytest.skip(str(error))
    for node in nodes:
        node.do("install", "configure")
    begun = [node.begin("start") for node in nodes]
    said = [one.wait() for one in begun]
    assert [0, 0, 0] == [one.code for one in said], [one.err[-300:] for one in said]
    write(nodes[0])
    ask(nodes[0], "PUT", "/kept/_settings", {"index": {"number_of_replicas": 1}})
    assert eventually(120, lambda: ["running"] * 3 == [node.state_now() for node in nodes])
    os.kill(nodes[2].process(), signal.SIGKILL)
    assert eventually(120, lambda: "2 of 3 nodes are in the cluster" == nodes[0].status().reason)
    assert read(nodes[1])
    nodes[2].do("start")
    assert eventually(120, lambda: ["running"] * 3 == [node.state_now() for node in nodes])
    os.kill(nodes[1].process(), signal.SIGKILL)
    nodes[2].do("stop")
    alone = "has no master: a majority of the nodes that may be one is needed"
    assert eventually(120, lambda: alone == nodes[0].status().reason), nodes[0].status().reason


def marks(service: Service) -> list[str]:
    """What the cluster keeps: low, high, flood stage."""
    kept = ask(service, "GET", "/_cluster/settings?flat_settings=true")["persistent"]
    return [
        kept.get(f"cluster.routing.allocation.disk.watermark.{name}", "") for name in ("low", "high", "flood_stage")
    ]


def test_a_reload_tells_the_cluster_its_watermarks(folder: Path) -> None:
    """The process stays; a second time nothing happens; what is declared later by a restart is as true."""
    service = search(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    assert ["", "", ""] == marks(service)
    service.parameters["watermarks"] = "80 90 95"
    service.do("configure")
    assert ("degraded", "runs with an earlier configuration") == (service.state_now(), service.status().reason)
    assert "1" == service.do("reload").changed
    assert ["80%", "90%", "95%"] == marks(service)
    assert before == service.status().identity
    assert "0" == service.do("reload").changed
    service.parameters["watermarks"] = "70 80 90"
    service.do("configure", "restart")
    assert ["70%", "80%", "90%"] == marks(service)


def test_watermarks_that_are_declared_no_more_are_taken_back(folder: Path) -> None:
    """By a reload the software's own numbers; from the next start on, nothing."""
    service = search(folder, watermarks="80 90 95")
    service.do("install", "configure", "start")
    service.parameters["watermarks"] = ""
    service.do("configure", "reload")
    assert ["85%", "90%", "95%"] == marks(service)
    service.do("restart")
    assert ["", "", ""] == marks(service)


def test_watermarks_that_others_have_set_stay(folder: Path) -> None:
    """Where none are declared, they are somebody else's to keep."""
    service = search(folder, watermarks="")
    service.do("install", "configure", "start")
    name = "cluster.routing.allocation.disk.watermark.low"
    ask(service, "PUT", "/_cluster/settings", {"persistent": {name: "60%"}})
    service.do("restart")
    assert ["60%", "", ""] == marks(service)


@pytest.mark.parametrize("secret", ["keystore", "password"])
def test_a_reload_refuses_what_needs_a_restart(folder: Path, secret: str) -> None:
    """The process is not touched; a restart does it."""
    service = search(folder, security="true")
    service.secrets = dict(CASE.secrets)
    service.do("install", "configure", "start")
    before = service.status().identity
    service.secrets[secret] = "s3.client.default.secret_key=another"
    service.do("configure")
    said = service.call("reload")
    assert (5, "needs a restart, not a reload: its secrets") == (said.code, said.reason)
    assert before == service.status().identity
    service.do("restart", "reload")
