"""Strict reading of what others wrote (JSON bodies, YAML files) into structs: every problem at once, with its place.

msgspec stops at the first problem; whoever corrects a file wants all of them. So a value is taken apart along its type,
and msgspec judges the leaves. What it accepts as a whole in the end is what is returned.
"""

import json
import re
from collections.abc import Iterator
from datetime import datetime
from types import UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec
from msgspec import Struct
from msgspec.structs import fields

from desired_state import names
from desired_state.catalogue import Problem

T = TypeVar("T")

_IN_WORDS = {
    names.HOST_PATTERN: "a host name: lower-case letters, digits and hyphens, dots between labels",
    names.SERVICE_PATTERN: "a service name: lower-case letters, digits and hyphens, a letter first, at most 48",
    names.KIND_PATTERN: "a kind: lower-case letters, digits and underscores, a letter first, at most 32",
    names.WORD_PATTERN: "a name: lower-case letters, digits and underscores, a letter first, at most 48",
    names.VERSION_PATTERN: "a version: letters, digits and . _ + ~ -, a letter or digit first, at most 64",
    names.PACKAGE_PATTERN: "a package name: lower-case letters, digits and . _ + -, at most 96",
    names.FILE_PATTERN: "a file name without a folder: letters, digits and . _ + ~ -",
    names.LABEL_PATTERN: "a label: lower-case letters, digits and . _ / -, at most 63",
    names.LABEL_VALUE_PATTERN: "a label value: letters, digits and . _ -, at most 63",
    names.DIGEST_PATTERN: "a digest: sha256: and 64 hex digits",
    r"^[0-9a-f]{64}$(?!\n)": "64 lower-case hex digits",
}


class Unreadable(ValueError):
    """Not what it should be; `problems` say where and what, in the order of the text."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(f"{p.pointer}: {p.message}" for p in problems))
        self.problems = tuple(problems)


def read(value: object, kind: type[T]) -> T:
    """The value as that type, strictly. Raises Unreadable with every problem, pointers from the value's root."""
    problems = list(_problems(value, kind, ""))
    if problems:
        raise Unreadable(problems)
    return msgspec.convert(value, kind, strict=True)


def read_json(data: bytes, kind: type[T], *, max_bytes: int) -> T:
    """The JSON text as that type, strictly: no key twice, no NaN, no deep nesting. Raises Unreadable."""
    if len(data) > max_bytes:
        raise Unreadable([Problem(pointer="", message=f"is {len(data)} bytes long; at most {max_bytes} are read")])
    try:
        value = json.loads(data, object_pairs_hook=_object, parse_constant=_constant)
    except RecursionError as error:
        raise Unreadable([Problem(pointer="", message="is nested too deeply")]) from error
    except ValueError as error:
        raise Unreadable([Problem(pointer="", message=f"is not JSON: {error}")]) from error
    return read(value, kind)


def pointer(*keys: str | int) -> str:
    """An RFC 6901 pointer."""
    return "".join("/" + str(key).replace("~", "~0").replace("/", "~1") for key in keys)


def _problems(value: object, kind: Any, at: str) -> Iterator[Problem]:
    bare = _bare(kind)
    struct = next((k for k in _alternatives(bare) if isinstance(k, type) and issubclass(k, Struct)), None)
    if struct is not None and isinstance(value, dict):
        yield from _struct_problems(value, struct, at)
    elif get_origin(bare) is tuple and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _problems(item, get_args(bare)[0], at + pointer(index))
    elif get_origin(bare) is dict and isinstance(value, dict):
        key_kind, item_kind = get_args(bare)
        for key, item in value.items():
            yield from _leaf_problems(key, key_kind, at + pointer(key))
            yield from _problems(item, item_kind, at + pointer(key))
    else:
        yield from _leaf_problems(value, kind, at)


def _struct_problems(value: dict[Any, Any], kind: type[Struct], at: str) -> Iterator[Problem]:
    known = {field.encode_name: field for field in fields(kind)}
    for key, item in value.items():
        if key in known:
            yield from _problems(item, known[key].type, at + pointer(key))
        elif kind.__struct_config__.forbid_unknown_fields:
            message = f"there is no such field; known here: {', '.join(sorted(known))}"
            yield Problem(pointer=at + pointer(key), message=message)
    for name, field in known.items():
        if field.required and name not in value:
            yield Problem(pointer=at + pointer(name), message="is missing")


def _leaf_problems(value: object, kind: Any, at: str) -> Iterator[Problem]:
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        yield Problem(pointer=at, message=_in_words(str(error), value, kind))


def _in_words(message: str, value: object, kind: Any) -> str:
    plain = message.split(" - at `", maxsplit=1)[0]
    for pattern, words in _IN_WORDS.items():
        if pattern in plain or repr(pattern) in plain:
            return f"{_shown(value)} is not {words}"
    choices = _choices(_bare(kind))
    if choices:
        return f"{_shown(value)} is not one of {', '.join(choices)}"
    if isinstance(value, float) and "str" in plain:
        return f'{value} is a number, and text is wanted: put it in quotes, "{value}"'
    if isinstance(value, int | bool) and plain.startswith(("Expected `str`", "Expected `str | null`")):
        return f"{json.dumps(value)} is not text: put it in quotes"
    if datetime in _alternatives(_bare(kind)):
        return f"{_shown(value)} is not a moment with its zone, like 2026-01-31T12:00:00Z"
    if value is None:
        return "has no value"
    # msgspec names the members of a union in no fixed order
    return re.sub(r"`([^`]+ \| [^`]+)`", _sorted_union, f"{plain[:1].lower()}{plain[1:]}")


def _sorted_union(found: re.Match[str]) -> str:
    return f"`{' | '.join(sorted(found[1].split(' | ')))}`"


def _shown(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 80 else text[:79] + "…"


def _choices(kind: Any) -> list[str]:
    if get_origin(kind) is Literal:
        return [str(choice) for choice in get_args(kind)]
    return []


def _bare(kind: Any) -> Any:
    while get_origin(kind) is Annotated:
        kind = get_args(kind)[0]
    return kind


def _alternatives(kind: Any) -> tuple[Any, ...]:
    if get_origin(kind) in {Union, UnionType}:
        return tuple(_bare(k) for k in get_args(kind))
    return (kind,)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for index, (key, _) in enumerate(pairs) if key in dict(pairs[:index]))
        raise ValueError(f"the key {twice!r} stands there twice")
    return found


def _constant(text: str) -> float:
    raise ValueError(f"{text} is not a number of JSON")
