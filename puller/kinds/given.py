"""What a person gave to a check: the script, and what a service of its kind needs."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct

from desired_state.document import Package, Service
from desired_state.names import ParameterName, Role

SERVICE = "check"
_CONTROL = re.compile(r"([a-z][a-z0-9_]{0,31})ctl\.sh")
_ARCHIVE = re.compile(r"(.+?)-([0-9][A-Za-z0-9._+~-]*?)(\.tar)?(\.[a-z]{1,3}[0-9]?)?")


class Given(Struct, frozen=True, kw_only=True):
    """The script to check and one service of it. Packages are archives, secrets are files, by role and name."""

    file: Path
    version: str = ""
    packages: Mapping[Role, Path] = {}
    parameters: Mapping[ParameterName, str] = {}
    monitoring: Mapping[ParameterName, str] = {}
    secrets: Mapping[ParameterName, Path] = {}

    @property
    def kind(self) -> str:
        """The kind that the file's name says; empty where it says none."""
        named = _CONTROL.fullmatch(self.file.name)
        return named[1] if named else ""

    def service(
        self, version: str, parameters: Mapping[ParameterName, str], monitoring: Mapping[ParameterName, str]
    ) -> Service:
        """It as a document would declare it."""
        return Service(
            name=SERVICE,
            kind=self.kind,
            version=version,
            parameters=dict(parameters),
            monitoring=dict(monitoring),
            packages={role: _package(path, role, version) for role, path in self.packages.items()},
        )


def _package(path: Path, role: Role, version: str) -> Package:
    """A package as the catalogue would declare it, named as its file is; else by role and the service's version."""
    named = _ARCHIVE.fullmatch(path.name)
    with path.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    return Package(
        name=named[1].lower() if named else role,
        version=named[2] if named else version,
        digest=f"sha256:{digest}",
        size=path.stat().st_size,
        file=path.name,
    )
