"""An agent for tests of how it reaches hosts: a script of parts that tells how it was called, and an archive of it."""

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from api.publish.artifacts import ArtifactStore
from api.services.artifacts import keep_package
from api.settings import Settings
from desired_state.catalogue import PackageEntry
from tests.api.house import FAKE_CTL, SHIPPED, START, House

META = (
    FAKE_CTL.replace("KIND", "agent")
    .replace("PORT", "1")
    .replace('"server"', '"release"')
    .replace('"7"', '"0"')
    .split("\n", 1)[1]
)
AGENTCTL = b"""#!/usr/bin/env bash
here=${BASH_SOURCE[0]%"${0##*/}"}
# shellcheck source=agent/say.sh
. "${here:-./}agent/say.sh"
if [[ $1 != meta ]]; then say "$@"; exit; fi
""" + META.encode()
SAY = b"""# say.sh: tells how it was called, and what came in.
say() {
  printf '%s\\0' "$@" >"$TOLD/arguments"
  local before=''
  for word in "$@"; do
    [[ $before != --token-file ]] || cat -- "$word" >"$TOLD/token"
    before=$word
  done
  [[ " $* " == *" --token-file "* ]] || cat >"$TOLD/token"
}
"""
SCRIPTS = {"agentctl.sh": AGENTCTL, "agent/say.sh": SAY}
WITH_AGENT = {**SHIPPED, **SCRIPTS}
ARCHIVE = b"an archive of the agent, " * 1000


def with_agentctl(house: House) -> House:
    """That house, shipping the script."""
    assert house.backend is not None
    house.backend.shipped = dict(WITH_AGENT)
    return house


def package(
    version: str = "0.4.0", *, data: bytes = ARCHIVE, name: str = "towline-agent", file: str = ""
) -> PackageEntry:
    """The entry of an archive."""
    return PackageEntry(
        package=name,
        version=version,
        file=file or f"{name}-{version}-linux-x86_64.tar.gz",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
    )


class Backed(Protocol):
    """Something with a backend's settings and its database."""

    settings: Settings

    def run(self, work: Callable[[AsyncEngine], Awaitable[None]]) -> None:
        """Do something with the database."""


def stored(backed: Backed, entry: PackageEntry, data: bytes = ARCHIVE) -> PackageEntry:
    """What `towline package add` does."""
    store = ArtifactStore(backed.settings.state_folder / "artifacts")
    backed.run(lambda engine: keep_package(engine, store, [data], entry, now=START))
    return entry


def declared(house: House, entry: PackageEntry) -> PackageEntry:
    """The entry in the catalogue."""
    body = {"package": entry.package, "version": entry.version, "file": entry.file, "sha256": entry.sha256}
    answer = house.ask("PUT", f"/v1/catalogue/packages/{entry.name}", {**body, "size": entry.size})
    assert answer.status in {200, 201}, answer
    return entry


def hex_of(digest: str) -> str:
    """Its hex digits."""
    return digest.removeprefix("sha256:")


def told(folder: Path) -> tuple[list[str], str]:
    """The arguments with which the script was called, and the token that it read."""
    arguments = (folder / "arguments").read_bytes().decode().split("\0")[:-1]
    return arguments, (folder / "token").read_text()
