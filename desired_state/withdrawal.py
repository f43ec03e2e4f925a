"""Everything that towline runs on a host goes, because a person on it says so: `towline-puller withdraw`.

It is the same pass with another wish: the accepted document with every service absent. That wish is signed by nobody,
and does not pretend to be: `Withdrawn` stands on an `Accepted` (whose scripts are the only ones that run, whose limits
hold) and can do nothing but take away. The agent itself is left out: it carries the order out, and agentctl.sh takes it
away.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import replace

from desired_state.acceptance import Accepted
from desired_state.document import Document, Service
from desired_state.names import AGENT_KIND, Digest, ServiceName, digest_of
from desired_state.record import Record, Recorded


class Withdrawal(Struct, frozen=True, kw_only=True):
    """The order. Deleting data has its own word."""

    purge_data: bool = False


class Withdrawn:
    """An accepted document under such an order."""

    __slots__ = ("accepted", "digest", "document", "order")

    def __init__(self, accepted: Accepted, order: Withdrawal, record: Record) -> None:
        self.accepted = accepted
        self.order = order
        self.document: Document = withdrawn(accepted.document, order, record)
        self.digest = withdrawn_digest(accepted.digest, order)


ToHold = Accepted | Withdrawn
"""What a pass holds a host to."""


def withdrawn(document: Document, order: Withdrawal, record: Record) -> Document:
    """The document with every service absent, those too that are on the host and not in it any more."""
    declared = {service.name: service for service in document.services}
    applied = {name: entry for name, entry in record.items() if _is_here(entry, order)}
    here = {name: _as_it_is(declared.get(name), applied.get(name)) for name in sorted(declared | applied)}
    services = tuple(
        _absent(service, record.get(name), order) for name, service in here.items() if service.kind != AGENT_KIND
    )
    return replace(document, services=services)


def withdrawn_digest(accepted: Digest, order: Withdrawal) -> Digest:
    """By which journal and waits know the order: the same for the same order over the same document."""
    return digest_of(f"withdraw\n{accepted}\npurge_data={order.purge_data}".encode())


def data_that_stays(record: Record, order: Withdrawal) -> tuple[ServiceName, ...]:
    """Services whose data lies on the disk and is not deleted by that order."""
    if order.purge_data:
        return tuple(_given_back(record))
    return tuple(sorted(name for name, entry in record.items() if entry.holds_data and entry.kind != AGENT_KIND))


def _given_back(record: Record) -> Iterator[ServiceName]:
    """What was taken over is given back with its data, whatever the order says."""
    return (name for name, entry in sorted(record.items()) if entry.holds_data and entry.adopted)


def _is_here(entry: Recorded, order: Withdrawal) -> bool:
    return entry.state != "absent" or (entry.holds_data and order.purge_data)


def _as_it_is(declared: Service | None, entry: Recorded | None) -> Service:
    """The service with the kind that it has here: that kind's script takes it away, whatever it shall become."""
    if entry is None:
        assert declared is not None  # noqa: S101 - it is in the one or in the other
        return declared
    here = Service(name=entry.name, kind=entry.kind, version=entry.version)
    return replace(declared, kind=entry.kind, version=entry.version) if declared else here


def _absent(service: Service, recorded: Recorded | None, order: Withdrawal) -> Service:
    purges = order.purge_data and recorded is not None and recorded.holds_data
    return replace(service, state="absent", purge=purges or (service.purge and service.state == "absent"))
