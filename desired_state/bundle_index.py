"""`kinds.json` as a host reads it: what a newer towline wrote there must not keep an older puller from its upgrade.

The backend reads `meta` strictly, because a person can correct a script there. A host gets the result inside a bundle
that its signed document pins, made perhaps by a newer towline for all its hosts; and the bundle that carries the
upgrade of the agent is one of those. So fields that this version does not know are passed over, and words outside of
the closed sets are read as the safest known one. A kind that cannot be read even so is left out: its services are
held, and the others go on. What a newer towline may write, docs/adr/0010 says.
"""

from typing import Any, get_args

import msgspec
from msgspec import Struct

from desired_state.contract import (
    BundleIndex,
    ClusterParameter,
    ClusterSource,
    Effect,
    KindMeta,
    MetricsPage,
    PackageRole,
    Parameter,
    ParameterType,
    Verb,
    VerbMeta,
)
from desired_state.names import KIND_PATTERN, Kind, is_name

SCHEMA = "towline.bundle/1"
TEXT_TYPE = "string"
"""A parameter of a type that this version does not know is passed on as the text that stands in the document."""


class ReadIndex(Struct, frozen=True, kw_only=True):
    """What could be read of an index."""

    index: BundleIndex
    unreadable: dict[str, str]
    """Kinds that are left out, and why."""


class _Index(Struct, frozen=True):
    schema: str
    kinds: dict[str, msgspec.Raw]


def read_index(data: bytes) -> ReadIndex:
    """The kinds of a bundle. Raises msgspec.MsgspecError, UnicodeDecodeError or RecursionError for what is no index,
    and for one of which nothing can be read."""
    whole = msgspec.json.decode(data, type=_Index)
    if whole.schema != SCHEMA:
        raise msgspec.ValidationError(f"its schema is {whole.schema[:60]!r}, and {SCHEMA!r} is read here")
    kinds: dict[Kind, KindMeta] = {}
    unreadable: dict[str, str] = {}
    for name, raw in whole.kinds.items():
        try:
            kinds[name] = _kind(name, raw)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            unreadable[name] = str(error)
    if unreadable and not kinds:
        name, reason = next(iter(unreadable.items()))
        raise msgspec.ValidationError(f"no kind in it can be read; {name[:60]}: {reason}")
    return ReadIndex(index=BundleIndex(kinds=kinds), unreadable=unreadable)


def _kind(name: str, raw: msgspec.Raw) -> KindMeta:
    if not is_name(KIND_PATTERN, name):
        raise msgspec.ValidationError("is no name of a kind")
    meta = msgspec.convert(_known_of(msgspec.json.decode(raw)), KindMeta)
    if meta.kind != name:
        raise msgspec.ValidationError(f"is what kind {meta.kind} says of itself")
    return meta


def _known_of(meta: object) -> object:
    """What of a kind's meta this version knows."""
    if not isinstance(meta, dict):
        return meta
    known = _fields(meta, KindMeta)
    readers = {"parameters": _parameter, "monitoring": _parameter, "packages": _package, "metrics": _metrics}
    for name, read in readers.items():
        if isinstance(known.get(name), list):
            known[name] = [read(item) if isinstance(item, dict) else item for item in known[name]]
    if isinstance(known.get("cluster"), list):
        known["cluster"] = [_fields(line, ClusterParameter) for line in known["cluster"] if _is_known(line)]
    if isinstance(known.get("verbs"), dict):
        known["verbs"] = {
            verb: _fields(said, VerbMeta) if isinstance(said, dict) else said
            for verb, said in known["verbs"].items()
            if verb in set(Verb)
        }
    return known


_TYPES = frozenset(get_args(ParameterType))


def _parameter(said: dict[str, Any]) -> dict[str, Any]:
    known = _fields(said, Parameter)
    if known.get("effect", Effect.RESTART) not in set(Effect):
        known["effect"] = Effect.RESTART
    if known.get("type") not in _TYPES:
        known["type"] = TEXT_TYPE
    return known


def _package(said: dict[str, Any]) -> dict[str, Any]:
    return _fields(said, PackageRole)


def _metrics(said: dict[str, Any]) -> dict[str, Any]:
    return _fields(said, MetricsPage)


def _is_known(line: object) -> bool:
    """A host fills nothing in by membership: its document has plain parameters. What is not known is left out."""
    return isinstance(line, dict) and line.get("from") in get_args(ClusterSource)


def _fields(said: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    return {name: value for name, value in said.items() if name in kind.__struct_encode_fields__}
