"""Exporters: a service beside another one, which it asks."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.middleware import Package
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Neighbour, Software
from tests.servers.process import free_port

Beginning = Callable[[Path, str], None]
"""Begins what shall be asked, in that empty folder and on that port, and returns when it answers."""


def asks(begun: Beginning) -> Callable[[Service], None]:
    """What prepares a service that asks it: one for all services of a folder, and from now on this one asks it."""

    def prepare(service: Service) -> None:
        folder = service.folder / "beside"
        known = folder / "port"
        port = known.read_text() if known.exists() else str(free_port())
        service.parameters.setdefault("target", f"127.0.0.1:{port}")
        if not known.exists():
            folder.mkdir(parents=True)
            begun(folder, port)
            known.write_text(port)

    return prepare


def real(neighbour: Neighbour) -> Beginning:
    """The neighbour itself, in a prefix of its own."""

    def begun(folder: Path, port: str) -> None:
        Service(
            kind=neighbour.kind,
            name=neighbour.name,
            folder=folder,
            version=neighbour.version,
            packages=neighbour.packages(),
            parameters={"port": port, **neighbour.parameters},
            secrets=neighbour.secrets,
        ).do("install", "configure", "start")

    return begun


def exporters(
    name: str, *versions: str, archive: Callable[[str], Package], prepare: Callable[[Service], None]
) -> tuple[Software, ...]:
    """The real program in each of these versions, oldest first."""
    return tuple(
        Software(name=name, version=version, packages=partial(_server, archive, version), prepare=prepare)
        for version in versions
    )


def _server(archive: Callable[[str], Package], version: str) -> dict[str, Package]:
    return {"server": archive(version)}
