"""YAML text to plain values, each with its line; a small part of YAML, the part that all readers agree on.

Not read: anchors and aliases (a few lines can stand for gigabytes), tags, several documents, keys that stand twice, and
plain words that YAML 1.1 and 1.2 read differently (`on`, `0644`, `12:30`): whoever writes such a thing is asked to put
it in quotes. Times stay text.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml
from msgspec import Struct

from api.reading import pointer
from desired_state.catalogue import Problem

MAX_BYTES = 1 << 18
"""No file is larger: one entry is a few hundred lines."""
MAX_DEPTH = 12
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_RESOLVER = yaml.SafeLoader("")
_INTEGER = re.compile(r"^(0|-?[1-9][0-9]{0,18})$")
_DECIMAL = re.compile(r"^-?(0|[1-9][0-9]*)\.[0-9]+$")
_ODD_NUMBER = re.compile(r"^[-+]?(0(o[0-7_]+|x[0-9a-fA-F_]+|b[01_]+|[0-9_]+)|[0-9][0-9_.]*[eE][-+]?[0-9]+)$")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})


class Text(Struct, frozen=True, kw_only=True):
    """What a file holds: the value, and the line of everything in it by pointer."""

    value: Any
    lines: dict[str, int]
    problems: tuple[Problem, ...] = ()


def read_yaml(data: bytes) -> Text:
    """The one document in these bytes. What is wrong is in `problems`, with its line; then `value` is None."""
    reader = _Reader()
    if len(data) > MAX_BYTES:
        reader.problem("", 0, f"is {len(data)} bytes long; a file has at most {MAX_BYTES}")
        return reader.text(None)
    try:
        value = reader.document(iter(yaml.parse(data.decode("utf-8"), Loader=_LOADER)))
    except UnicodeDecodeError as error:
        reader.problem("", data[: error.start].count(b"\n") + 1, "is not UTF-8")
        value = None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        message = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
        reader.problem("", mark.line + 1 if mark else 1, f"is not YAML: {message}")
        value = None
    except _TooDeepError as error:
        reader.problem("", error.line, f"is nested more than {MAX_DEPTH} levels deep")
        value = None
    return reader.text(value)


class _TooDeepError(Exception):
    def __init__(self, line: int) -> None:
        super().__init__()
        self.line = line


class _Reader:
    """Builds values from parse events, noting lines and problems on the way."""

    def __init__(self) -> None:
        self._lines: dict[str, int] = {"": 1}
        self._problems: list[Problem] = []

    def text(self, value: Any) -> Text:
        return Text(value=None if self._problems else value, lines=self._lines, problems=tuple(self._problems))

    def problem(self, at: str, line: int, message: str) -> None:
        self._problems.append(Problem(pointer=at, message=message, line=line))

    def document(self, events: Iterator[yaml.Event]) -> Any:
        value: Any = None
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.problem("", _line(event), "holds a second document (---); one file declares one thing")
                    return None
            elif not isinstance(event, yaml.StreamStartEvent | yaml.StreamEndEvent | yaml.DocumentEndEvent):
                value = self._node(event, events, "", 0)
        return value

    def _node(self, event: yaml.Event, events: Iterator[yaml.Event], at: str, depth: int) -> Any:
        self._lines.setdefault(at, _line(event))
        if depth > MAX_DEPTH:
            raise _TooDeepError(_line(event))
        if isinstance(event, yaml.AliasEvent):
            self.problem(at, _line(event), "aliases are not read; write the value out")
            return None
        self._refuse_marks(event, at)
        if isinstance(event, yaml.MappingStartEvent):
            return self._mapping(events, at, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(events, at, depth)
        return self._scalar(event, at) if isinstance(event, yaml.ScalarEvent) else None

    def _refuse_marks(self, event: Any, at: str) -> None:
        if getattr(event, "anchor", None):
            self.problem(at, _line(event), f"&{event.anchor}: anchors are not read")
        if getattr(event, "tag", None):
            self.problem(at, _line(event), f"the tag {event.tag} is not read; write a plain value")

    def _mapping(self, events: Iterator[yaml.Event], at: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            key = self._key(event, events, at, depth)
            here = at + pointer(key)
            if key in found:
                self.problem(here, _line(event), f"{key!r} stands there twice, first on line {self._lines[here]}")
            self._lines.setdefault(here, _line(event))
            value = self._node(next(events), events, here, depth + 1)
            found.setdefault(key, value)
        return found

    def _key(self, event: yaml.Event, events: Iterator[yaml.Event], at: str, depth: int) -> str:
        """A key is text as it is written, whatever it looks like."""
        if isinstance(event, yaml.ScalarEvent):
            self._refuse_marks(event, at)
            if event.value == "<<" and event.implicit[0]:
                self.problem(at, _line(event), "<<: merging is not read; write the values out")
            return str(event.value)
        self.problem(at, _line(event), "a key must be a word")
        self._node(event, events, at, depth + 1)
        return ""

    def _sequence(self, events: Iterator[yaml.Event], at: str, depth: int) -> list[Any]:
        found: list[Any] = []
        for event in events:
            if isinstance(event, yaml.SequenceEndEvent):
                break
            found.append(self._node(event, events, at + pointer(len(found)), depth + 1))
        return found

    def _scalar(self, event: yaml.ScalarEvent, at: str) -> Any:
        text = str(event.value)
        if not event.implicit[0]:  # quoted, or a block of text
            return text
        plain = {"true": True, "false": False}
        if text in plain:
            return plain[text]
        if text in _NULL:
            return None
        if _INTEGER.match(text):
            return int(text)
        if _DECIMAL.match(text):
            return float(text)
        return self._plain_text(text, at, _line(event))

    def _plain_text(self, text: str, at: str, line: int) -> str:
        kind = _RESOLVER.resolve(yaml.ScalarNode, text, (True, False)).rpartition(":")[2]  # type: ignore[no-untyped-call]
        if kind == "bool" or text in {"y", "Y", "n", "N"}:
            self.problem(at, line, f'{text}: YAML readers differ on this word; write true or false, or "{text}"')
        elif kind in {"int", "float", "merge", "value"} or _ODD_NUMBER.match(text):
            self.problem(at, line, f'{text}: YAML readers differ on this number; put it in quotes, "{text}"')
        return text


def _line(event: Any) -> int:
    return int(event.start_mark.line) + 1
