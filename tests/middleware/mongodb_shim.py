#!/usr/bin/python3
"""mongod, as a shim over SecantusDB: MongoDB's protocol on WiredTiger, which is not MongoDB. Becomes bin/mongod of a
test archive, and runs on the machine's own Python.

It reads mongod.conf, says a version, judges options and the key file's mode as mongod does, lets the first account be
made from the loopback address, and is in no replica set until it is told. Sets of several members are told only: each
member has its own data, and all of them read who is in from one file (setParameter.standInSet).
"""

# ruff: noqa: EXE001, PLC0415

import contextlib
import dataclasses
import datetime
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

Doc = dict[str, Any]
Command = Callable[[Doc, Any], Doc]
HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "lib"))
KNOWN = ("net.", "storage.", "systemLog.", "operationProfiling.", "security.", "replication.", "setParameter.")
WORDS = {
    "net",
    "port",
    "bindIp",
    "ipv6",
    "unixDomainSocket",
    "enabled",
    "maxIncomingConnections",
    "compression",
    "compressors",
    "storage",
    "dbPath",
    "directoryPerDB",
    "wiredTiger",
    "engineConfig",
    "cacheSizeGB",
    "collectionConfig",
    "blockCompressor",
    "journal",
    "commitIntervalMs",
    "syncPeriodSecs",
    "operationProfiling",
    "slowOpThresholdMs",
    "slowOpSampleRate",
    "systemLog",
    "verbosity",
    "component",
    "query",
    "security",
    "authorization",
    "keyFile",
    "javascriptEnabled",
    "replication",
    "replSetName",
    "oplogSizeMB",
    "enableMajorityReadConcern",
}


def read(path: str) -> dict[str, str]:
    """The settings of a mongod.conf as towline writes it, by their whole paths."""
    found: dict[str, str] = {}
    above = ""
    for line in Path(path).read_text().splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        name, _, value = line.strip().partition(":")
        if not value:
            above = name
            continue
        name = f"{above}.{name}" if line.startswith(" ") else name
        value = value.strip()
        if value[:1] == '"':
            value = value[1:-1].replace('\\"', '"').replace("\\\\", "\\")
        if not name.startswith(KNOWN) or (not name.startswith("setParameter.") and set(name.split(".")) - WORDS):
            sys.exit(f"Unrecognized option: {name}")
        found[name] = value
    return found


def stub_geometry() -> None:
    """Shapes on a sphere need numpy and more, which no test asks for: the archive goes without."""
    import types

    class Shape:
        pass

    def stub(name: str) -> None:
        module = types.ModuleType(name)
        module.__path__ = []
        vars(module)["__getattr__"] = lambda word: Shape if not word.startswith("__") else None
        sys.modules[name] = module

    class GEOSException(Exception):
        pass

    for name in ("shapely", "shapely.wkt", "shapely.errors", "shapely.geometry", "shapely.geometry.base", "s2sphere"):
        stub(name)
    vars(sys.modules["shapely"])["wkt"] = sys.modules["shapely.wkt"]
    vars(sys.modules["shapely.errors"])["GEOSException"] = GEOSException


class Members:
    """Who is in the set and how they are, in a file that all members of a test read: `config` as MongoDB has it,
    `primary`, and what a test says of a member: `state` and `lag` (seconds), by its name."""

    def __init__(self, path: str, port: int) -> None:
        self.path, self.port = Path(path), port

    def told(self) -> Doc:
        told: Doc = json.loads(self.path.read_text()) if self.path.exists() else {}
        return told

    def tell(self, **changes: object) -> None:
        partial = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        partial.write_text(json.dumps(self.told() | changes))
        partial.replace(self.path)

    def names(self) -> list[str]:
        return [one["host"] for one in self.told().get("config", {}).get("members", [])]

    def me(self) -> str | None:
        return next((name for name in self.names() if name.endswith(f":{self.port}")), None)

    def leads(self) -> bool:
        return self.me() is not None and self.me() == self.told().get("primary")

    def state_of(self, name: str | None) -> int:
        said: int | None = self.told().get("state", {}).get(name)
        return said or (1 if name == self.told().get("primary") else 2)

    def is_there(self, name: str) -> bool:
        host, _, port = name.rpartition(":")
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1):
            return True
        return False


STATES = {1: "PRIMARY", 2: "SECONDARY", 3: "RECOVERING", 5: "STARTUP2"}


def wrong(code: int, text: str) -> Doc:
    return {"ok": 0.0, "errmsg": text, "code": code, "codeName": "Error"}


def set_commands(members: Members, name: str) -> tuple[Callable[[Doc], Doc], dict[str, Command]]:  # noqa: C901
    """What a member says of its set."""

    def hello(said: Doc) -> Doc:
        me, told = members.me(), members.told()
        for word in (
            "setName",
            "setVersion",
            "hosts",
            "passives",
            "arbiters",
            "primary",
            "me",
            "electionId",
            "secondary",
        ):
            said.pop(word, None)
        if me is None:
            info = "Does not have a valid replica set config"
            return said | {"isWritablePrimary": False, "secondary": False, "isreplicaset": True, "info": info}
        found = {"setName": name, "setVersion": told["config"]["version"], "hosts": members.names(), "me": me}
        state = members.state_of(me)
        found |= {"isWritablePrimary": state == 1, "ismaster": state == 1, "secondary": state == 2}
        if told.get("primary"):
            found["primary"] = told["primary"]
        return said | found

    def initiate(doc: Doc, _: object) -> Doc:
        config = dict(doc["replSetInitiate"])
        if members.told():
            return wrong(23, "already initialized")
        if config["_id"] != name:
            return wrong(93, f"not the name of this set: {name}")
        if missing := [one["host"] for one in config["members"] if not members.is_there(one["host"])]:
            return wrong(
                74, f"replSetInitiate quorum check failed because not all proposed set members responded: {missing}"
            )
        config = {"version": 1, "term": 1} | config
        primary = next(one["host"] for one in config["members"] if one["host"].endswith(f":{members.port}"))
        members.tell(config=config, primary=primary)
        return {"ok": 1.0}

    def get_config(_: Doc, __: object) -> Doc:
        return {"config": members.told()["config"], "ok": 1.0} if members.told() else wrong(94, "no replset config")

    def reconfigure(doc: Doc, _: object) -> Doc:
        config, old = dict(doc["replSetReconfig"]), members.told()["config"]
        if not members.leads():
            return wrong(10107, "only a primary may be told")
        if config["version"] <= old["version"]:
            return wrong(103, "its version is not newer")
        ours, theirs = ({one["host"]: one["_id"] for one in each["members"]} for each in (old, config))
        if len(ours.items() ^ theirs.items()) > 1:
            return wrong(103, "more than one member changes")
        members.tell(config=config)
        return {"ok": 1.0}

    def status(_: Doc, __: object) -> Doc:
        if members.me() is None:
            return wrong(94, "no replset config has been received")
        now, told = datetime.datetime.now(datetime.UTC), members.told()
        found = []
        for one in told["config"]["members"]:
            there, state = members.is_there(one["host"]), members.state_of(one["host"])
            behind = datetime.timedelta(seconds=told.get("lag", {}).get(one["host"], 0))
            word = STATES[state] if there else "(not reachable/healthy)"
            found.append(
                {"_id": one["_id"], "name": one["host"], "health": float(there), "state": state, "stateStr": word}
                | {"optimeDate": now - behind, "lastHeartbeatMessage": "" if there else "Connection refused"}
            )
        return {"set": name, "myState": members.state_of(members.me()), "members": found, "ok": 1.0}

    def step_down(_: Doc, __: object) -> Doc:
        other = next((n for n in members.names() if n != members.me() and members.is_there(n)), None)
        members.tell(primary=other)
        return {"ok": 1.0}

    return hello, {
        "replSetInitiate": initiate,
        "replSetGetConfig": get_config,
        "replSetReconfig": reconfigure,
        "replSetGetStatus": status,
        "replSetStepDown": step_down,
    }


def as_mongod(commands: Any, server: Any, set_of: tuple[Callable[[Doc], Doc], dict[str, Command]] | None) -> None:
    """Before SecantusDB answers itself: the set's own commands, and who may come in while there is no account."""
    answer = commands.dispatch
    hello = set_of[0] if set_of else None
    own = set_of[1] if set_of else {}

    def dispatch(doc: Doc, ctx: Any) -> Doc:
        word = next(iter(doc))
        nobody = ctx.require_auth and not any(ctx.storage.list_users(db) for db in ("admin",))
        if nobody and word in {"createUser", *own}:
            ctx = dataclasses.replace(ctx, require_auth=False)
        if word in own:
            known = ctx.connection_auth is not None and ctx.connection_auth.is_authenticated
            return (
                own[word](doc, ctx) if known or not ctx.require_auth else wrong(13, f"{word} requires authentication")
            )
        said: Doc = answer(doc, ctx)
        return hello(said) if hello and word in ("hello", "isMaster", "ismaster") else said

    server.dispatch = dispatch


def serve(settings: dict[str, str]) -> None:
    stub_geometry()
    import logging

    import secantus.server as server_module  # type: ignore[import-not-found]
    from secantus import commands

    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    folder, name = settings["storage.dbPath"], settings.get("replication.replSetName")
    if not Path(folder).is_dir():
        sys.exit(f"NonExistentPath: Data directory {folder} not found")
    key = settings.get("security.keyFile")
    if key and Path(key).stat().st_mode & 0o077:
        sys.exit(f"permissions on {key} are too open")
    auth = settings.get("security.authorization") == "enabled"
    port = int(settings["net.port"])
    members = Members(settings.get("setParameter.standInSet", f"{folder}/members.json"), port) if name else None
    as_mongod(commands, server_module, set_commands(members, name) if members and name else None)
    server = server_module.SecantusDBServer(
        host=settings["net.bindIp"].split(",")[0],
        port=port,
        storage_path=folder,
        require_auth=auth,
        replica_set_name=name,
        enable_test_commands=False,
        cache_size=f"{int(float(settings.get('storage.wiredTiger.engineConfig.cacheSizeGB', '0.25')) * 1024)}M",
        sync_on_commit=True,
    )

    def end(*_: object) -> None:
        server.stop()
        sys.exit(0)

    signal.signal(signal.SIGTERM, end)
    server.start()
    server.wait()


if __name__ == "__main__":
    if "--version" in sys.argv:
        print("db version v8.2.11\nBuild Info: SecantusDB 0.7.0b3 under the name of mongod")
    else:
        told = read(sys.argv[sys.argv.index("--config") + 1])
        if "--outputConfig" not in sys.argv:
            serve(told)
