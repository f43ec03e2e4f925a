"""mongodbctl.sh: accounts that log in, and a replica set that forms, grows, is hurt and shrinks.

The server is SecantusDB under the name of mongod: its answers, logins and data are real. Sets of several members are
only told by it (tests/middleware/mongodb_shim.py): who is in, who leads, how a member is; each has its own data.
"""

import json
import os
import signal
from hashlib import pbkdf2_hmac
from pathlib import Path
from subprocess import run
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from tests.scripts.calling import SCRIPTS, Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.mongodb import client
from tests.servers.process import free_port

CASE = case_of("mongodb")
KEY = "dG93bGluZSBpcyBhIGtleSBvZiBhIHNldA=="


def mongodb(folder: Path, name: str = "one", secrets: dict[str, str] | None = None, **parameters: str) -> Service:
    return Service(
        kind="mongodb",
        name=name,
        folder=folder,
        version=CASE.version,
        packages=CASE.packages(),
        parameters={"port": str(free_port()), "cache_size": "256mb"} | parameters,
        secrets=secrets,
    )


def with_accounts(folder: Path, **parameters: str) -> Service:
    return mongodb(folder, secrets=dict(CASE.secrets), database="shop", user="app", **parameters)


class Set:
    """Three members, and the file that the stand-in reads them from."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "set.json"
        ports = [str(free_port()) for _ in range(3)]
        self.names = [f"127.0.0.1:{port}" for port in ports]
        self.members = [
            mongodb(folder, f"member-{number}", port=port, replica_set="orders", members=", ".join(self.names))
            for number, port in enumerate(ports)
        ]
        for member in self.members:
            member.parameters["extra"] = f'setParameter.standInSet: "{self.file}"'
            member.do("install", "configure")

    def form(self, *members: Service) -> None:
        begun = [member.begin("start") for member in members or self.members]
        assert [0] * len(begun) == [one.wait().code for one in begun]

    def told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.file.read_text())
        return told

    def tell(self, **changes: object) -> None:
        self.file.write_text(json.dumps(self.told() | changes))

    def hosts(self) -> list[str]:
        return [one["host"] for one in self.told()["config"]["members"]]

    def reasons(self) -> list[str]:
        return [member.status().reason for member in self.members]


def declare(members: list[Service], names: list[str]) -> None:
    for member in members:
        member.parameters["members"] = ",".join(names)
        member.do("configure")


def test_nobody_gets_in_without_a_password(folder: Path) -> None:
    """The administrator and the application log in; nobody, and a wrong password, do not."""
    service = with_accounts(folder)
    service.do("install", "configure", "start")
    for user in ("app", "root"):
        with client(service, user) as one:
            assert 1 == one.admin.command("ping")["ok"]
    with pytest.raises(OperationFailure), client(service, "app", "guessed") as one:
        one.shop.kept.find_one()
    with pytest.raises(OperationFailure), client(service) as one:
        one.other.kept.insert_one({})


def test_passwords_are_changed(folder: Path) -> None:
    """The application's by a reload; the administrator's with the key of the former one; data and process stay."""
    service = with_accounts(folder)
    service.do("install", "configure", "start")
    identity = service.status().identity
    service.secrets["user_password"] = "another of the application"
    service.do("configure", "reload")
    assert ("running", identity) == (service.state_now(), service.status().identity)
    with client(service) as one:
        one.shop.kept.insert_one({"_id": 1})
    service.secrets["root_password"] = "another of the administrator"
    service.do("configure", "restart")
    assert "0" == service.do("start").changed
    with client(service, "root") as one:
        assert 1 == one.shop.kept.count_documents({})


def test_a_password_that_the_data_does_not_have_is_said(folder: Path) -> None:
    """Data of a service that was uninstalled meanwhile keeps its accounts."""
    service = with_accounts(folder)
    service.do("install", "configure", "start", "stop", "uninstall")
    service.secrets["root_password"] = "of nobody"
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, said.reason.startswith("cannot log in as root ")), said.reason


def test_the_configuration_is_mongods(folder: Path) -> None:
    """Whole paths in one line each; only setParameter is a mapping. What is pasted as YAML becomes the same."""
    service = mongodb(
        folder,
        bind="10.0.0.5,::1",
        cache_size="1536mb",
        extra="# ours\nstorage:\n  journal:\n    commitIntervalMs: 50\nsetParameter:\n  cursorTimeoutMillis: 600000\n"
        'net.compression.compressors: "snappy,zstd"',
    )
    service.do("install", "configure")
    lines = (service.root / "etc/mongod.conf").read_text().splitlines()
    assert {"net.bindIp: 127.0.0.1,10.0.0.5,::1", "net.ipv6: true"} <= set(lines)
    assert "storage.wiredTiger.engineConfig.cacheSizeGB: 1.500" in lines
    assert [
        "storage.journal.commitIntervalMs: 50",
        'net.compression.compressors: "snappy,zstd"',
        "setParameter:",
        "  cursorTimeoutMillis: 600000",
    ] == lines[-4:]


def test_what_mongod_refuses_stays_out(folder: Path) -> None:
    """Its words are the reason, and the running one keeps what it has."""
    service = mongodb(folder)
    service.do("install", "configure", "start")
    service.parameters["extra"] = "storage.inventedSetting: 5"
    said = service.call("configure")
    assert (6, "mongod refuses its configuration: Unrecognized option: storage.inventedSetting") == (
        said.code,
        said.reason,
    )
    assert "running" == service.state_now()


@pytest.mark.parametrize(
    ("parameters", "secrets", "name"),
    [
        ({"members": "a:1"}, {}, "members"),
        ({"replica_set": "orders", "members": "a:1,b:2"}, {}, "members"),
        ({"replica_set": "orders", "bind": "*"}, {}, "bind"),
        ({"replica_set": "orders"}, {"root_password": "x"}, "keyfile"),
        ({}, {"keyfile": KEY}, "keyfile"),
        ({"replica_set": "orders"}, {"root_password": "x", "keyfile": "no base64!"}, "keyfile"),
        ({"user": "app", "database": "shop"}, {"user_password": "x"}, "root_password"),
        ({"user": "app"}, {"user_password": "x", "root_password": "x"}, "database"),
        ({}, {"root_password": "pässword"}, "root_password"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    folder: Path, parameters: dict[str, str], secrets: dict[str, str], name: str
) -> None:
    """Before anything is touched."""
    service = mongodb(folder, secrets=secrets, **parameters)
    said = service.call("install")
    assert (6, True) == (said.code, f"parameter {name}: " in said.reason), said.reason
    assert not service.root.exists()


def test_a_set_of_one_asks_for_passwords_and_knows_its_key(folder: Path) -> None:
    """Formed before there is an account; the key's file is one that mongod takes; a second start changes nothing."""
    service = with_accounts(folder, replica_set="orders")
    service.secrets["keyfile"] = f"{KEY}\n"
    service.do("install", "configure", "start")
    assert "running" == service.state_now()
    assert "0" == service.do("start").changed
    kept = service.root / "run/mongodb/keyfile"
    assert (0o400, True) == (kept.stat().st_mode & 0o777, f"- {KEY}\n" in kept.read_text())
    service.do("restart")
    assert "running" == service.state_now()


def test_the_first_member_forms_the_set_when_all_answer(folder: Path) -> None:
    """The others wait for it and say so; formed once, each of them is whole; nothing is formed a second time."""
    made = Set(folder)
    made.form(made.members[1])
    assert "is in no replica set yet: Does not have a valid replica set config" == made.reasons()[1]
    made.form(made.members[0], made.members[2])
    assert made.names == made.hosts()
    assert ["running"] * 3 == [member.state_now() for member in made.members]
    version = made.told()["config"]["version"]
    for member in made.members:
        member.do("start")
    assert ["0"] * 3 == [member.do("start").changed for member in made.members]
    assert version == made.told()["config"]["version"]


def test_a_set_is_not_formed_without_all_of_its_members(folder: Path) -> None:
    """The start says who is missing and may be repeated; half a set never comes into being."""
    made = Set(folder)
    waiting = made.members[0].begin("start")
    assert eventually(90, lambda: "is in no replica set yet" in made.reasons()[0])
    waiting.kill_after(0)
    made.members[0].parameters["start_timeout"] = "3s"
    made.members[0].do("configure")
    said = made.members[0].call("start")
    assert (1, f"does not form the replica set: {made.names[1]} does not answer") == (said.code, said.reason)
    assert not made.file.exists()
    made.members[0].parameters["start_timeout"] = "5m"
    made.members[0].do("configure")
    made.form()
    assert made.names == made.hosts()


def test_degraded_has_its_words(folder: Path) -> None:
    """A member that recovers, one that is behind, one that is gone, no primary: each member says what it sees."""
    made = Set(folder)
    made.form()
    first, second, third = made.names
    made.tell(state={third: 3})
    assert [f"the member {third} is RECOVERING"] * 2 == made.reasons()[:2]
    assert "recovers (RECOVERING): it takes no reads yet" == made.reasons()[2]
    made.tell(state={}, lag={second: 300})
    assert f"the member {second} is 300 s behind the primary" == made.reasons()[0]
    made.tell(lag={})
    os.kill(made.members[1].process(), signal.SIGKILL)
    assert eventually(60, lambda: f"the member {second} cannot be reached: Connection refused" == made.reasons()[0])
    made.members[1].do("start")
    assert ["running"] * 3 == [member.state_now() for member in made.members]
    made.tell(primary=None, state={first: 2})
    assert ["its replica set has no primary: a majority of the members is needed"] * 3 == made.reasons()


def test_a_member_takes_itself_in_and_one_leaves(folder: Path) -> None:
    """A new member asks the primary; one that shall be absent leaves first; one that is gone for good is let go."""
    made = Set(folder)
    two = made.names[:2]
    declare(made.members[:2], two)
    made.form(*made.members[:2])
    assert two == made.hosts()
    made.members[2].do("start")
    assert made.names == made.hosts()
    assert [0, 1, 2] == [one["_id"] for one in made.told()["config"]["members"]]
    made.members[0].state = "absent"
    made.members[0].do("stop", "uninstall")
    assert made.names[1:] == made.hosts()
    assert made.told()["primary"] in made.names[1:]
    os.kill(made.members[2].process(), signal.SIGKILL)
    made.tell(primary=made.names[1])
    declare(made.members[1:2], made.names[1:2])
    made.members[1].do("reload")
    assert made.names[1:2] == made.hosts()
    assert "running" == made.members[1].state_now()


def test_a_first_member_that_lost_its_disk_does_not_begin_anew(folder: Path) -> None:
    """Others are in the set: it is taken in again, and there is one set still."""
    made = Set(folder)
    made.form()
    config = made.told()["config"]
    rest = [one for one in config["members"] if one["host"] != made.names[0]]
    made.tell(primary=made.names[1], config=config | {"members": rest})
    (made.members[0].root / "replica-set").unlink()
    made.members[0].do("stop", "start")
    assert sorted(made.names) == sorted(made.hosts())
    assert config["version"] + 1 == made.told()["config"]["version"]


def test_the_rounds_are_the_same_in_bash_and_in_python() -> None:
    """A host without Python makes the same key, only slowly."""
    program = Path(__file__).with_name("shared") / "rounds.bash"
    said = run(["bash", str(program), str(SCRIPTS)], capture_output=True, text=True, check=True, timeout=120)
    wanted = pbkdf2_hmac("sha256", b"canary of nobody", bytes.fromhex("00ff10203040"), 7).hex()
    assert f"{wanted}\n" == said.stdout


def test_a_killed_server_is_back_with_its_set(folder: Path) -> None:
    """Formed before, it stays in; its data is there."""
    service = mongodb(folder, replica_set="orders")
    service.do("install", "configure", "start")
    os.kill(service.process(), signal.SIGKILL)
    assert eventually(60, lambda: service.state_now() == "stopped")
    service.do("start")
    assert "running" == service.state_now()
