"""Hosts, services and documents in any number, for measuring."""

from datetime import UTC, datetime

from desired_state.contract import Effect, KindMeta, PackageRole, Parameter, Verb, VerbMeta
from desired_state.document import Artifact, Document, Origin, Package, Service
from desired_state.names import digest_of
from desired_state.observed import Observation, Observed

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
EXPIRES = datetime(2027, 11, 23, 9, 0, tzinfo=UTC)
PARAMETERS = 8

KIND = KindMeta(
    schema="towline.meta/1",
    kind="thing",
    holds_data=True,
    parameters=tuple(
        Parameter(name=f"p{number}", type="string", default="", effect=Effect.RESTART) for number in range(PARAMETERS)
    ),
    packages=(PackageRole(role="server"),),
    verbs={verb: VerbMeta(timeout_s=60) for verb in Verb if verb not in (Verb.META, Verb.DISCOVER)},
)


def host_names(count: int) -> list[str]:
    """web-00000, web-00001, ..."""
    return [f"web-{number:05}" for number in range(count)]


def document(host: str, *, services: int, version: str = "1.0") -> Document:
    """A host with so many services, each after the one before it in a group of four."""
    return Document(
        schema="towline.document/1",
        host=host,
        epoch=1,
        revision=1,
        issued_at=NOW,
        expires_at=EXPIRES,
        origin=Origin(change="bench", author="bench", summary="something to measure"),
        bundle=Artifact(digest=digest_of(b"bundle"), size=1, file="scripts.tar"),
        services=tuple(_service(number, version) for number in range(services)),
    )


def nothing_there(wanted: Document) -> Observed:
    """What a host shows on which nothing is installed yet."""
    return {one.name: Observation(service=one.name, state="absent", seen_at=NOW) for one in wanted.services}


def _service(number: int, version: str) -> Service:
    package = Package(
        digest=digest_of(version.encode()),
        size=1_000_000,
        file=f"thing-{version}.tar.gz",
        name="thing",
        version=version,
    )
    return Service(
        name=f"service-{number:03}",
        kind="thing",
        version=version,
        parameters={f"p{parameter}": f"value {parameter} of {number}" for parameter in range(PARAMETERS)},
        packages={"server": package},
        depends_on=(f"service-{number - 1:03}",) if number % 4 else (),
    )
