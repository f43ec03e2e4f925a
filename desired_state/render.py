"""Catalogue and host to document. Deterministic: the order of the catalogue means nothing, the same input gives the
same bytes.

Parameters that nobody set stay unset: the puller passes the defaults of the bundle that the document pins. `render` is
total on a catalogue in which `problems` found no error; what it would have told of is refused here by NotRenderable,
so that nothing half right, and no secret in clear, is ever signed.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from desired_state.catalogue import Catalogue, HostEntry, PackageEntry, ServiceEntry
from desired_state.cluster import expanded
from desired_state.contract import KindMeta
from desired_state.document import (
    Artifact,
    Document,
    Limits,
    Mode,
    Origin,
    Package,
    SealedSecret,
    Seconds,
    Service,
    Url,
)
from desired_state.names import (
    Digest,
    Epoch,
    HostName,
    Kind,
    PackageName,
    ParameterName,
    Revision,
    SecretName,
    Text,
    Timestamp,
    digest_of,
)
from desired_state.placement import on_host, services_of


class NotRenderable(ValueError):
    """The catalogue has an error that `problems` tells of; the text names service and field."""


class Content(Struct, frozen=True, kw_only=True):
    """A document without its number and its times: what decides whether a host needs a new one."""

    host: HostName
    origin: Origin
    bundle: Artifact
    artifact_bases: tuple[Url, ...]
    poll_interval_s: Seconds
    mode: Mode
    mode_reason: Text
    mode_until: Timestamp | None
    limits: Limits
    services: tuple[Service, ...]


def render(
    catalogue: Catalogue,
    host: HostEntry,
    *,
    kinds: Mapping[Kind, KindMeta],
    bundle: Artifact,
    artifact_bases: Sequence[Url],
    origin: Origin,
    services: Sequence[ServiceEntry] | None = None,
    sealed: Mapping[SecretName, SealedSecret] = {},
) -> Content:
    """What that host shall be. `services`, from `placement.services_by_host` of the expanded catalogue (cluster.py),
    spares the search when there are many.

    `sealed` has every secret that these services name, sealed to this host.
    `artifact_bases` and the URLs of a package keep their order, which is one of preference. Raises NotRenderable.
    """
    placed = services_of(expanded(catalogue, kinds), host) if services is None else services
    packages = {package.name: package for package in catalogue.packages}
    return Content(
        host=host.host,
        origin=origin,
        bundle=bundle,
        artifact_bases=tuple(artifact_bases),
        poll_interval_s=host.poll_interval_s,
        mode=host.mode,
        mode_reason=host.mode_reason,
        mode_until=_utc(host.mode_until) if host.mode_until else None,
        limits=host.limits,
        services=tuple(
            service(on_host(entry, host.host), kinds=kinds, packages=packages, sealed=sealed) for entry in placed
        ),
    )


def service(
    entry: ServiceEntry,
    *,
    kinds: Mapping[Kind, KindMeta],
    packages: Mapping[PackageName, PackageEntry],
    sealed: Mapping[SecretName, SealedSecret],
) -> Service:
    """One service as documents write it, from an entry with the host's override merged in. Raises NotRenderable."""
    _refuse_secrets(entry, kinds)
    if entry.cluster is not None:
        raise NotRenderable(f"service {entry.service}: its cluster has an error")
    if entry.purge and entry.state != "absent":
        raise NotRenderable(f"service {entry.service}: purge goes with state absent only")
    return Service(
        name=entry.service,
        kind=entry.kind,
        version=entry.version,
        state=entry.state,
        purge=entry.purge,
        parameters=entry.parameters,
        secrets=_secrets(entry, kinds[entry.kind], sealed),
        packages={role: _package(entry, packages.get(name), role) for role, name in entry.packages.items()},
        depends_on=tuple(sorted(set(entry.depends_on))),
        health=entry.health,
        monitoring=entry.monitoring,
    )


def content_digest(content: Content) -> Digest:
    """The same for two contents that ask a host for the same. Which change they came from makes no difference."""
    anonymous = replace(content, origin=Origin(change=""))
    return digest_of(msgspec.json.encode(anonymous, order="deterministic"))


def issue(content: Content, *, epoch: Epoch, revision: Revision, issued_at: datetime, expires_at: datetime) -> Document:
    """The document with that content. Times are written in UTC and whole seconds."""
    return Document(
        schema="towline.document/1",
        host=content.host,
        epoch=epoch,
        revision=revision,
        issued_at=_utc(issued_at),
        expires_at=_utc(expires_at),
        origin=content.origin,
        bundle=content.bundle,
        artifact_bases=content.artifact_bases,
        poll_interval_s=content.poll_interval_s,
        mode=content.mode,
        mode_reason=content.mode_reason,
        mode_until=content.mode_until,
        limits=content.limits,
        services=content.services,
    )


def _package(entry: ServiceEntry, package: PackageEntry | None, role: str) -> Package:
    if package is None:
        raise NotRenderable(f"service {entry.service}: package {entry.packages[role]!r} (role {role}) is not declared")
    return Package(
        name=package.package,
        version=package.version,
        digest=package.digest,
        size=package.size,
        file=package.file,
        urls=package.urls,
    )


def _secrets(
    entry: ServiceEntry, meta: KindMeta, sealed: Mapping[SecretName, SealedSecret]
) -> dict[ParameterName, SealedSecret]:
    for name, secret in entry.secrets.items():
        parameter = meta.parameter(name)
        if parameter is None or parameter.type != "secret":
            raise NotRenderable(f"service {entry.service}: parameter {name} is no secret of kind {entry.kind}")
        if secret not in sealed:
            raise NotRenderable(f"service {entry.service}: there is no secret {secret!r}: towline secret set {secret}")
    return {name: sealed[secret] for name, secret in entry.secrets.items()}


def _refuse_secrets(entry: ServiceEntry, kinds: Mapping[Kind, KindMeta]) -> None:
    meta = kinds.get(entry.kind)
    if meta is None:
        raise NotRenderable(f"service {entry.service}: kind {entry.kind!r} is not in the script bundle")
    for parameter in meta.parameters:
        if parameter.type == "secret" and parameter.name in entry.parameters:
            raise NotRenderable(f"service {entry.service}: parameter {parameter.name} is a secret in clear")


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
