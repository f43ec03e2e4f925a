"""zookeeperctl.sh: an ensemble of real servers, and what it refuses to start on."""

import os
import signal
from pathlib import Path

import pytest

from puller.kinds.traces import tree
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.zookeeper import client, ensemble
from tests.servers.process import free_port

CASE = case_of("zookeeper")
WAIT_S = 120


def stand_in(folder: Path, **parameters: str) -> Service:
    """Installed and configured, on the archive that is up at once."""
    service = Service(
        kind="zookeeper",
        name="one",
        folder=folder,
        version=CASE.version,
        packages=CASE.packages(),
        parameters={**CASE.parameters(free_port()), **parameters},
    )
    service.do("install", "configure")
    return service


def states(members: list[Service]) -> list[str]:
    return [member.state_now() for member in members]


def test_an_ensemble_loses_members_and_is_whole_again(folder: Path) -> None:
    """The leader misses who does not follow; without a quorum nobody is well; what was written stays."""
    members = ensemble(CASE.version, folder, "participant", "participant", "participant")
    for member in members:
        member.do("install", "configure")
    begun = [member.begin("start") for member in members]
    assert [0, 0, 0] == [one.wait().code for one in begun]
    assert eventually(WAIT_S, lambda: states(members) == ["running"] * 3)
    assert "Created /kept" == client(members[0], "create", "/kept", "by-towline")
    os.kill(members[0].process(), signal.SIGKILL)
    two = members[1:]
    missed = {"running", "1 of 2 other servers follow this leader"}
    assert eventually(WAIT_S, lambda: {m.status().reason or m.state_now() for m in two} == missed)
    assert "by-towline" == client(members[1], "get", "/kept")
    os.kill(members[1].process(), signal.SIGKILL)
    alone = "serves nobody: its ensemble has no quorum, or it has not found it yet"
    assert eventually(WAIT_S, lambda: members[2].status().reason == alone), members[2].status().reason
    begun = [member.begin("start") for member in members[:2]]
    assert [0, 0] == [one.wait().code for one in begun]
    assert eventually(WAIT_S, lambda: states(members) == ["running"] * 3)
    assert ["by-towline"] * 3 == [client(member, "get", "/kept") for member in members]


def test_data_of_another_number_is_refused(folder: Path) -> None:
    """A disk that belongs to another member is not started on."""
    service = stand_in(folder)
    service.do("start", "stop")
    service.parameters |= {"myid": "2"}
    service.do("configure")
    before = tree(service.root / "data")
    said = service.call("start")
    assert (6, f"parameter myid: {service.root / 'data'} is of server 1") == (said.code, said.reason)
    assert (before, "stopped") == (tree(service.root / "data"), service.state_now())


def test_data_that_is_gone_is_not_begun_anew(folder: Path) -> None:
    """A disk that is not mounted looks empty; an empty member of a quorum would have forgotten what it promised."""
    service = stand_in(folder)
    service.do("start", "stop")
    (service.root / "data").rename(service.root / "away")
    (service.root / "data").mkdir()
    said = service.call("start")
    assert (1, True) == (said.code, said.reason.startswith(f"its data is gone from {service.root / 'data'}"))
    (service.root / "data").rmdir()
    (service.root / "away").rename(service.root / "data")
    service.do("start")


@pytest.mark.parametrize(
    ("servers", "role", "reason"),
    [
        ("1=a:2888:3888,2=b:2888:3888,2=c:2888:3888", "participant", "parameter servers: has a number twice"),
        ("2=a:2888:3888,3=b:2888:3888", "participant", "parameter servers: has not this one: 1=HOST:2888:3888"),
        ("1=a:2888:3889,2=b:2888:3888", "participant", "parameter servers: has not this one: 1=HOST:2888:3888"),
        ("1=a:2888:3888,2=b:2888:3888", "observer", "parameter role: is observer, and servers says participant"),
    ],
)
def test_a_member_must_fit_its_ensemble(folder: Path, servers: str, role: str, reason: str) -> None:
    """Number, ports and role are those that the others know."""
    service = stand_in(folder)
    service.parameters |= {"servers": servers, "role": role, "peer_port": "2888", "election_port": "3888"}
    said = service.call("configure")
    assert (6, reason) == (said.code, said.reason)


def test_what_it_is_told_stands_in_its_configuration(folder: Path) -> None:
    """Members in their order, the observer as one, and the words that a person asked for beside ours."""
    servers = "1=zk-1.example:2888:3888, 2=[fd00::2]:2888:3888,3=10.0.0.3:2889:3889:observer"
    service = stand_in(folder, servers=servers, peer_port="2888", election_port="3888", commands="ruok, stat")
    lines = (service.root / "etc/zoo.cfg").read_text().splitlines()
    assert [
        "server.1=zk-1.example:2888:3888",
        "server.2=[fd00::2]:2888:3888",
        "server.3=10.0.0.3:2889:3889:observer",
    ] == [line for line in lines if line.startswith("server.")]
    assert "4lw.commands.whitelist=srvr, mntr, ruok, stat" in lines
    service.parameters |= {"myid": "3", "role": "observer", "peer_port": "2889", "election_port": "3889"}
    service.do("configure")
    assert "peerType=observer" in (service.root / "etc/zoo.cfg").read_text().splitlines()
