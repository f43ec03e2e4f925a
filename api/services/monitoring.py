"""What Prometheus shall scrape: the services of the fleet whose kind serves a page of metrics.

A service stays in the list while it should be up: one that died, and one whose host fell silent, is what `up == 0` is
there for. It leaves the list when it was stopped or removed on somebody's word, or its host's enrolment ended.
"""

import asyncio
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from ipaddress import ip_address

import msgspec
from msgspec import Struct, field
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot
from api.errors import TryLater
from api.publish.bundle import BadScript, Scripts, make_bundle, merge_scripts
from api.repositories import catalogue, monitoring
from api.repositories.monitoring import SaidRow
from desired_state.contract import KindMeta, MetricsPage
from desired_state.names import Kind

_NO_LABEL = re.compile(r"[^A-Za-z0-9_]")
_DEADLINE_S = 60.0


class TargetGroup(Struct, frozen=True, kw_only=True):
    """One page of metrics, in the form of Prometheus's HTTP service discovery."""

    targets: tuple[str, ...]
    """`address:port`; always one."""
    labels: dict[str, str]


class _Seen(Struct):
    state: str


class _Recorded(Struct):
    state: str
    parameters: dict[str, str] = {}


class _Service(Struct):
    """Of a ServiceStatus what is needed here: reading no more makes ten thousand of them cheap."""

    name: str
    kind: str
    desired_state: str | None = None
    observation: _Seen | None = None
    recorded: _Recorded | None = None


class _Status(Struct):
    services: tuple[_Service, ...] = ()
    address: str = ""


class _Declared(Struct):
    """Of a HostEntry the same."""

    address: str = ""
    labels: dict[str, str] = field(default_factory=dict)


_STATUS = msgspec.json.Decoder(_Status)
_DECLARED = msgspec.json.Decoder(_Declared)


async def scrape_targets(engine: AsyncEngine, shipped: Scripts) -> list[TargetGroup]:
    """All of them, by host and service. Raises TryLater where the scripts say nothing: Prometheus keeps what it has."""
    async with snapshot(engine, deadline_s=_DEADLINE_S) as connection:
        own = await catalogue.scripts(connection)
        rows = await monitoring.said(connection)
    try:
        bundle = await asyncio.to_thread(lambda: make_bundle(merge_scripts(shipped, own)))
    except BadScript as bad:
        raise TryLater(str(bad), retry_after_s=60) from bad
    return await asyncio.to_thread(target_groups, rows, bundle.kinds)


def target_groups(rows: Iterable[SaidRow], kinds: Mapping[Kind, KindMeta]) -> list[TargetGroup]:
    """The targets of these hosts. A status that another version wrote, and this one cannot read, has none."""
    pages = {kind: meta for kind, meta in kinds.items() if meta.metrics}
    return [group for row in rows for group in _of_host(row, pages)] if pages else []


def _of_host(row: SaidRow, kinds: Mapping[Kind, KindMeta]) -> Iterator[TargetGroup]:
    try:
        status = _STATUS.decode(zlib.decompress(row.packed))
    except msgspec.MsgspecError:
        return
    entry = _DECLARED.decode(row.entry) if row.entry is not None else _Declared()
    labels = {f"label_{_NO_LABEL.sub('_', key)}": value for key, value in sorted(entry.labels.items())}
    address = address_of(row.host, entry.address, status.address)
    for service in status.services:
        meta = kinds.get(service.kind)
        if meta is None or not _should_be_up(service):
            continue
        for page in meta.metrics:
            port = _port_of(service, page, meta)
            if port:
                named = {"host": row.host, "service": service.name, "kind": service.kind}
                yield TargetGroup(
                    targets=(f"{address}:{port}",), labels={**labels, **named, "__metrics_path__": page.path}
                )


def _should_be_up(service: _Service) -> bool:
    up = service.observation is not None and service.observation.state in {"running", "degraded"}
    wanted = service.desired_state in {"running", "adopted"}
    reached = service.recorded is not None and service.recorded.state == "running"
    return up or (wanted and reached)


def _port_of(service: _Service, page: MetricsPage, meta: KindMeta) -> str:
    """The port that was applied last; empty for what is no port: the host said it, and it becomes an address."""
    parameter = meta.parameter(page.port)
    default = parameter.default or "" if parameter is not None else ""
    said = service.recorded.parameters.get(page.port, default) if service.recorded is not None else default
    return said if said.isascii() and said.isdigit() and len(said) <= 5 and 1 <= int(said) <= 65535 else ""


def address_of(host: str, declared: str, said: str) -> str:
    """Where a host is reached: as declared, else as it says (an IP address and nothing else), else by its name."""
    if not declared:
        declared = said if _is_ip_address(said) else host
    return f"[{declared}]" if ":" in declared else declared


def _is_ip_address(text: str) -> bool:
    try:
        return str(ip_address(text)) == text and "%" not in text
    except ValueError:
        return False
