"""What a site without a way out needs, found in the catalogue and in the store: all of it, or what some hosts use."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from api.database import snapshot
from api.errors import Invalid, Misconfigured
from api.publish.artifacts import ArtifactStore
from api.publish.bundle import BadScript, Scripts, make_bundle, merge_scripts
from api.publish.site_archive import Contents, Index, Piece
from api.publish.target import document_path, trust_path
from api.repositories import agents, catalogue, fleet, publications
from api.repositories import trust as notes
from api.services.agents import PACKAGE as AGENT
from api.services.agents import SELF_CONTAINED, age_of, agentctl_of
from desired_state.catalogue import Catalogue, PackageEntry, Problem, ServiceEntry, selects
from desired_state.document import decode
from desired_state.names import Digest, HostName, ServiceName, digest_of
from desired_state.note import parse_note
from desired_state.placement import on_host

AGENTCTL = "agentctl.sh"


class Asked(Struct, frozen=True, kw_only=True):
    """Which part of the fleet: empty means all of it."""

    hosts: tuple[HostName, ...] = ()
    services: tuple[ServiceName, ...] = ()
    documents: bool = False
    """With the newest signed document of each host, and the trust notes."""
    places: tuple[Path, ...] = ()
    """Folders with package files that are not in the store."""


class _Found(Struct, frozen=True, kw_only=True):
    """What the database says, at one moment."""

    declared: Catalogue
    agents: Sequence[PackageEntry]
    own: Scripts
    documents: Mapping[HostName, bytes]
    trust: Mapping[str, bytes]
    bundles: Mapping[Digest, bytes]


async def site_contents(engine: AsyncEngine, store: ArtifactStore, shipped: Scripts, asked: Asked) -> Contents:
    """What goes into the archive. Raises Invalid with each host, service and file that is not here."""
    async with snapshot(engine) as connection:
        found = await _look(connection, asked)
    _refuse([*_unknown(found.declared, asked)], "nothing is written: not all of that is in the catalogue")
    sources: dict[Digest, Path | bytes] = {}
    pieces = await asyncio.to_thread(
        lambda: [*_scripts(found, shipped, sources), *_agentctl(shipped, sources)]  # runs `meta` of each script
    )
    packages = _packages(found, asked)
    paths = await asyncio.to_thread(_at_hand, packages, store, asked.places)
    _refuse(
        [_not_at_hand(piece, found.declared) for piece in packages if piece.digest not in paths],
        "nothing is written: files of packages are not at hand",
    )
    documents = _documents(found) if asked.documents else {}
    index = Index(
        files=tuple(sorted([*pieces, *packages], key=lambda piece: (piece.kind, piece.file, piece.digest))),
        hosts=tuple(sorted(set(asked.hosts))),
        services=tuple(sorted(set(asked.services))),
        documents=tuple(sorted(documents)),
    )
    return Contents(index=index, sources={**sources, **paths}, documents=documents)


async def _look(connection: AsyncConnection, asked: Asked) -> _Found:
    declared = await publications.catalogue(connection)
    hosts = list(asked.hosts) or [host.host for host in declared.hosts]
    documents = await fleet.notes(connection, hosts)
    digests = {decode(parse_note(note).text).bundle.digest for note in documents.values()}
    newest = await notes.newest(connection)
    versions = range(1, newest.version + 1) if newest and asked.documents else ()
    kept = {version: await notes.get(connection, version) for version in versions}
    return _Found(
        declared=declared,
        agents=await agents.packages(connection, AGENT),
        own=await catalogue.scripts(connection),
        documents=documents,
        trust={trust_path(version): row.note for version, row in kept.items() if row is not None},
        bundles={
            digest: data
            for digest in sorted(digests)
            if (data := await publications.bundle_data(connection, digest)) is not None
        },
    )


def _unknown(declared: Catalogue, asked: Asked) -> Iterator[Problem]:
    hosts, services = {host.host for host in declared.hosts}, {service.service for service in declared.services}
    for name in sorted(set(asked.hosts) - hosts):
        yield Problem(pointer=f"/hosts/{name}", message="the catalogue has no such host")
    for name in sorted(set(asked.services) - services):
        yield Problem(pointer=f"/services/{name}", message="the catalogue has no such service")


def _refuse(problems: list[Problem], detail: str) -> None:
    if problems:
        raise Invalid(detail, tuple(problems))


def _scripts(found: _Found, shipped: Scripts, sources: dict[Digest, Path | bytes]) -> Iterator[Piece]:
    """The bundles that documents pin, and the one that the next documents will."""
    try:
        made = make_bundle(merge_scripts(shipped, found.own))
    except BadScript as bad:
        raise Misconfigured(str(bad)) from bad
    for digest, data in {**found.bundles, made.artifact.digest: made.data}.items():
        sources[digest] = data
        hexed = digest.removeprefix("sha256:")
        yield Piece(kind="scripts", file=f"scripts-{hexed[:12]}.tar", digest=digest, size=len(data))


def _agentctl(shipped: Scripts, sources: dict[Digest, Path | bytes]) -> Iterator[Piece]:
    body = agentctl_of(shipped)
    if body is not None:
        digest = digest_of(body)
        sources[digest] = body
        yield Piece(kind="agentctl", file=AGENTCTL, digest=digest, size=len(body))


def _packages(found: _Found, asked: Asked) -> list[Piece]:
    """Every package of the catalogue, or those that the chosen hosts and services use; and the agent."""
    used: dict[str, set[ServiceName]] = {}
    for service in _chosen(found.declared, asked):
        for name in service.packages.values():
            used.setdefault(name, set()).add(service.service)
    all_of_it = not asked.hosts and not asked.services
    entries = {entry.name: entry for entry in found.declared.packages if all_of_it or entry.name in used}
    newest = [entry for entry in found.agents if entry.file.endswith(SELF_CONTAINED)]
    for entry in sorted(newest, key=lambda one: age_of(one.version))[-1:]:
        entries.setdefault(entry.name, entry)
    return [_piece(entry, used.get(entry.name, set())) for entry in entries.values()]


def _chosen(declared: Catalogue, asked: Asked) -> Iterator[ServiceEntry]:
    """Each chosen service, once for every host that may have packages of its own."""
    hosts = [host for host in declared.hosts if not asked.hosts or host.host in asked.hosts]
    for service in declared.services:
        if asked.services and service.service not in asked.services:
            continue
        if not asked.hosts:
            yield service
        for host in hosts:
            if selects(service.placement, host):
                yield on_host(service, host.host)


def _piece(entry: PackageEntry, used_by: Iterable[ServiceName]) -> Piece:
    return Piece(
        kind="package",
        file=entry.file,
        digest=entry.digest,
        size=entry.size,
        name=entry.name,
        package=entry.package,
        version=entry.version,
        used_by=tuple(sorted(used_by)),
    )


def _at_hand(pieces: Iterable[Piece], store: ArtifactStore, places: Sequence[Path]) -> dict[Digest, Path]:
    """Where each file lies: in the store, or in one of the folders, under its digest or its name and of its size."""
    found: dict[Digest, Path] = {}
    for piece in pieces:
        hexed = piece.digest.removeprefix("sha256:")
        elsewhere = (folder / name for folder in places for name in (hexed, f"sha256/{hexed}", piece.file))
        kept = store.find(piece.digest)
        for path in (*([kept] if kept else []), *elsewhere):
            if path.is_file() and path.stat().st_size == piece.size:
                found[piece.digest] = path
                break
    return found


def _not_at_hand(piece: Piece, declared: Catalogue) -> Problem:
    urls = next((entry.urls for entry in declared.packages if entry.name == piece.name), ())
    where = f" (the catalogue says that it can be had at {', '.join(urls)})" if urls else ""
    how = f"towline package add {piece.file} --name {piece.package} --version {piece.version}"
    told = f"{piece.file} ({piece.size} bytes, {piece.digest}) is not in the store{where}: {how}, or --from its folder"
    return Problem(pointer=f"/packages/{piece.name}", message=told)


def _documents(found: _Found) -> dict[str, bytes]:
    return {document_path(host): note for host, note in found.documents.items()} | dict(found.trust)
