"""What one host shall be: the document, and its exact bytes.

Bytes are the truth: what is signed, hashed and compared is what was published. `encode` is the only writer; `decode`
refuses whatever `encode` would not have written, so a document has one form only (no duplicate key, no odd spacing,
no unknown word can hide in it).
"""

from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta, Struct

from desired_state.names import (
    Digest,
    Epoch,
    FileName,
    HostName,
    Kind,
    PackageName,
    ParameterName,
    Revision,
    Role,
    SecretName,
    SecretVersion,
    ServiceName,
    Text,
    Timestamp,
    Version,
)

MAX_BYTES = 1 << 20
"""No document is larger: 1 MiB holds hundreds of services."""

MAX_SEALED = 22_000
"""Characters of one sealed secret: base64 of the largest that there may be."""

Value: TypeAlias = Annotated[str, Meta(max_length=65536)] | bool | Annotated[int, Meta(ge=-(2**53), le=2**53)]
"""A parameter's value. No floats: they have no single text form."""
State = Literal["running", "stopped", "absent", "adopted"]
"""What is wanted of a service."""
Mode = Literal["enforce", "audit", "suspended"]
"""What the puller may do: change the host, only look and say, or only say that it is told not to look after it."""
Url = Annotated[str, Meta(pattern=r"^(https?|file)://[^\s\x00-\x1f]+$(?!\n)", max_length=2000)]
Seconds = Annotated[int, Meta(ge=1, le=31 * 86400)]


class Artifact(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A file that the host fetches: named by its digest, bounded by its size. `urls` are tried before the bases."""

    digest: Digest
    size: Annotated[int, Meta(ge=1, le=1 << 40)]
    file: FileName
    urls: tuple[Url, ...] = ()


class Package(Artifact, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A program's archive, with its name and version: `packages/<name>-<version>` on the host."""

    name: PackageName
    version: Version


class SealedSecret(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One version of a secret, sealed to the host of the document: see sealing.py."""

    name: SecretName
    version: SecretVersion
    sealed: Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]+={0,2}$(?!\n)", max_length=MAX_SEALED)]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Health(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How old, in seconds, a script's answer about a service may grow before it is asked again."""

    interval_s: Seconds = 60


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One service as it shall be on this host."""

    name: ServiceName
    kind: Kind
    version: Version
    state: State = "running"
    purge: bool = False
    """Delete the data too. Only with `absent`: deleting data has its own word."""
    parameters: dict[ParameterName, Value] = {}
    secrets: dict[ParameterName, SealedSecret] = {}
    """By the parameter that each is for. Left out where there are none: agents that know no secrets read the rest."""
    packages: dict[Role, Package] = {}
    depends_on: tuple[ServiceName, ...] = ()
    health: Health = Health()
    monitoring: dict[ParameterName, Value] = {}


class Limits(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """How much one pass may take away, and how much it may do at once."""

    removals: Annotated[int, Meta(ge=0, le=1000)] = 2
    """More services than this are not removed in one pass: the plan stops and asks."""
    parallel: Annotated[int, Meta(ge=1, le=16)] = 2
    """Steps of independent services that may run side by side."""


class Origin(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which change of the catalogue this document was rendered from: what an auditor asks first."""

    change: Annotated[str, Meta(max_length=100)]
    """A commit id, or `change-<n>` of a catalogue kept without git."""
    author: Text = ""
    summary: Text = ""


class Document(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one host shall be."""

    schema: Literal["towline.document/1"]
    host: HostName
    epoch: Epoch
    revision: Revision
    issued_at: Timestamp
    expires_at: Timestamp
    origin: Origin
    bundle: Artifact
    artifact_bases: tuple[Url, ...] = ()
    """Where artifacts lie, by digest: `<base>/sha256/<hex>`."""
    poll_interval_s: Seconds = 60
    mode: Mode = "enforce"
    mode_reason: Text = ""
    mode_until: Timestamp | None = None
    limits: Limits = Limits()
    services: tuple[Service, ...] = ()
    """Sorted by name, each name once."""


class NotADocument(ValueError):
    """Bytes that are no document; the text names the field and what is wrong with it."""


def encode(document: Document) -> bytes:
    """The one text form of a document: JSON, two spaces, keys of maps sorted, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(document, order="deterministic"), indent=2) + b"\n"


def decode(data: bytes) -> Document:
    """The document in these bytes. Raises NotADocument for everything that `encode` would not have written."""
    if len(data) > MAX_BYTES:
        raise NotADocument(f"is {len(data)} bytes long; a document has at most {MAX_BYTES}")
    try:
        document = _DECODER.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotADocument(str(error)) from error
    except RecursionError as error:  # msgspec recurses on nesting; a hostile document must not take the pass down
        raise NotADocument("is nested too deeply") from error
    problem = ill_formed(document.services)
    if problem:
        raise NotADocument(problem)
    if encode(document) != data:
        raise NotADocument("is not in its one text form (duplicate keys, spacing, order or default values written out)")
    return document


def ill_formed(services: tuple[Service, ...]) -> str:
    """Why no host would accept these services together in one document; empty when nothing is wrong."""
    names = [service.name for service in services]
    if names != sorted(set(names)):
        return "services are not sorted by name, or one is there twice - at `$.services`"
    for service in services:
        if service.purge and service.state != "absent":
            return f"purge goes with state absent only - at `$.services[{service.name}].purge`"
        unknown = sorted(set(service.depends_on) - set(names))
        if unknown:
            return (
                f"depends on {unknown[0]}, which is not in this document - at `$.services[{service.name}].depends_on`"
            )
    try:
        TopologicalSorter({s.name: s.depends_on for s in services}).prepare()
    except CycleError as error:
        return f"services depend on each other in a circle ({' -> '.join(error.args[1])}) - at `$.services`"
    return ""


_DECODER = msgspec.json.Decoder(Document, strict=True)
