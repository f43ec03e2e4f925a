"""ZooKeeper: the conformance run against a stand-in that is up at once, `nox -s middleware` on the real one."""

import subprocess
from pathlib import Path

from tests.middleware import java_runtime_archive, stand_in_for_zookeeper, zookeeper_archive
from tests.middleware.archives import Package
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.together import Together
from tests.servers.process import free_port

JAVA = "21.0.8"


def client(service: Service, *words: str) -> str:
    """What the software's own client says: its last line, without the log."""
    command = [str(service.root / "jdk/bin/java"), "-Xmx64m", "-XX:TieredStopAtLevel=1"]
    command += [f"-Dlogback.configurationFile={service.root}/etc/logback.xml", "-cp", f"{service.root}/current/lib/*"]
    command += ["org.apache.zookeeper.ZooKeeperMain", "-server", f"127.0.0.1:{service.parameters['port']}", *words]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    lines = (said.stdout + said.stderr).splitlines()
    # That it is connected it says when it comes to it: before the answer, or on a busy machine after it.
    lines = [line for line in lines if line.strip() and not line.startswith(("WATCHER::", "WatchedEvent"))]
    return lines[-1] if lines else ""


def _probe(service: Service) -> str:
    """A node there and gone again, by the client."""
    assert client(service, "create", "/probe", "asked") == "Created /probe"
    assert client(service, "get", "/probe") == "asked"
    client(service, "delete", "/probe")
    return "a node is created and read"


def _write(service: Service) -> None:
    assert client(service, "create", "/kept", "by-towline") == "Created /kept"


def _properties(service: Service) -> str:
    text = (service.root / "etc/zoo.cfg").read_text("ascii")
    return text.partition("# The parameter properties\n")[2].removesuffix("\n").replace("\\\\", "\\")


def packages(version: str) -> dict[str, Package]:
    """ZooKeeper with a Java of its own."""
    return {"server": zookeeper_archive(version), "jdk": java_runtime_archive(JAVA)}


def _software(version: str) -> Software:
    return Software(name="ZooKeeper", version=version, packages=lambda: packages(version))


def ensemble(version: str, folder: Path, *roles: str) -> list[Service]:
    """Real servers, as their documents tell them."""
    ports = [(free_port(), free_port()) for _ in roles]
    numbered = list(enumerate(zip(ports, roles, strict=True), start=1))
    servers = ",".join(f"{number}=127.0.0.1:{peer}:{election}:{role}" for number, ((peer, election), role) in numbered)
    return [
        Service(
            kind="zookeeper",
            name=f"member-{number}",
            folder=folder,
            version=version,
            packages=packages(version),
            parameters={
                **CASE.parameters(free_port()),
                "myid": str(number),
                "role": role,
                "servers": servers,
                "peer_port": str(peer),
                "election_port": str(election),
                "tick_ms": "1000",
            },
        )
        for number, ((peer, election), role) in numbered
    ]


def _tell(service: Service, text: str) -> None:
    assert client(service, "create", f"/{text}", "told") == f"Created /{text}"


def cluster(software: Software, folder: Path) -> str:
    """Nodes that one has made are there with all; one is killed, and missed by the leader."""
    together = Together(
        members=ensemble(software.version, folder, *["participant"] * 3),
        write=_tell,
        read=lambda service: client(service, "ls", "/").strip("[]").split(", "),
    )
    missed = "1 of 2 other servers follow this leader"
    together.form().tell(0, "first").lose(2, missed).tell(1, "second").comes_back(2, "second")
    return f"three: what one is told, all tell; one killed with -9, another one says: {missed}; it comes back"


CASE = Case(
    version="3.9.3",
    packages=lambda: stand_in_for_zookeeper("3.9.3"),
    parameters=lambda port: {
        "port": str(port),
        "peer_port": str(free_port()),
        "election_port": str(free_port()),
        "max_heap": "128mb",
        "log_level": "WARN",
    },
    bad=(
        ("port", "0"),
        ("bind", "localhost"),
        ("myid", "0"),
        ("myid", "256"),
        ("servers", "1@127.0.0.1:2888:3888"),
        ("servers", "1=127.0.0.1:1:2"),
        ("servers", "2=127.0.0.1:2888:3888"),
        ("role", "observer"),
        ("role", "leader"),
        ("tick_ms", "2s"),
        ("init_limit", "0"),
        ("commands", "stat;conf"),
        ("max_heap", "1mb"),
        ("java", "bin/java"),
        ("jdk_service", "a b"),
        ("properties", "dataDir=/"),
        ("properties", "server.2=b:1:2"),
        ("properties", "no setting"),
        ("properties", "jute.maxbuffer=ünïcödé"),
        ("colour", "blue"),
    ),
    own_writing=("log/", "data/"),
    arrives={"properties": _properties},
    real=Real(
        software=(_software("3.8.4"), _software("3.9.3")),
        probe=_probe,
        write=_write,
        read=lambda service: client(service, "get", "/kept") == "by-towline",
        restarted={"max_heap": "144mb", "properties": "jute.maxbuffer=2097152"},
        cluster=cluster,
        cost_s=240,
    ),
)
