"""The values of parameters: their grammar by type, their text, and what a script is given.

The scripts check the same again (docs/scripts/contract.md): here so that a merge request learns of it, there because a
script is also run by hand. An empty text means "not given" for every type, so that an override can take a value back.
"""

import re
from collections.abc import Callable, Mapping
from unicodedata import category

from desired_state.contract import KindMeta, Parameter
from desired_state.document import Value
from desired_state.names import ParameterName

MAX_VALUE_BYTES = 65536
"""Of one value: it becomes one environment variable, of which Linux takes 128 KiB."""
MAX_TOTAL_BYTES = 1 << 18
"""Of all values of one service: the environment of a call is bounded too."""

_SIZE = re.compile(r"([0-9]{1,15})(b|k|kb|m|mb|g|gb)?", re.IGNORECASE)
_SIZE_UNIT = {"": 1, "b": 1, "k": 10**3, "kb": 1 << 10, "m": 10**6, "mb": 1 << 20, "g": 10**9, "gb": 1 << 30}
_DURATION = re.compile(r"([0-9]{1,9})(s|m|h|d)")
_DURATION_UNIT = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_PEER = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,252}|\[[0-9A-Fa-f:.]+\]):([1-9][0-9]{0,4})")


def as_text(value: Value) -> str:
    """A value as the script sees it: `true` and `false`, numbers in decimal, text as it is."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def with_defaults(parameters: Mapping[ParameterName, Value], meta: KindMeta) -> dict[ParameterName, str]:
    """What a script is given: every parameter of its kind, those left out with their default, or empty.

    Secrets are never among them, even where somebody wrote one in clear: they reach a script as files.
    """
    secret = {parameter.name for parameter in meta.parameters if parameter.type == "secret"}
    known = {parameter.name: parameter.default or "" for parameter in meta.parameters}
    given = {name: as_text(value) for name, value in parameters.items()}
    return {name: text for name, text in (known | given).items() if name not in secret}


def monitoring_values(monitoring: Mapping[ParameterName, Value], meta: KindMeta) -> dict[ParameterName, str]:
    """What `monitor_trace` is given: every value of its kind, those left out with their default; nothing where the
    service says nothing: then the wiring is taken out."""
    if not monitoring:
        return {}
    known = {parameter.name: parameter.default or "" for parameter in meta.monitoring}
    return known | {name: as_text(value) for name, value in monitoring.items()}


def value_problem(parameter: Parameter, value: Value) -> str:
    """What is wrong with a value, and what to write instead; empty when nothing is. Without the parameter's name."""
    if parameter.type == "secret":
        return "is a secret, which never stands in a catalogue in clear; take it out, and change it where it is used"
    if value == "":
        return "must not be empty" if parameter.required else ""
    return text_problem(value) or _READ[parameter.type](parameter, value)


def text_problem(value: Value) -> str:
    """What keeps any value, whatever its type, from travelling in a document and an environment variable."""
    if not isinstance(value, str):
        return ""
    if any(0xD800 <= ord(c) <= 0xDFFF for c in value):
        return "holds half a character (a lone surrogate); write it as UTF-8 text"
    if len(value.encode()) > MAX_VALUE_BYTES:
        return f"is {len(value.encode())} bytes long; at most {MAX_VALUE_BYTES} fit"
    return _control_problem(value, allowed="\n\t")


def bytes_of(size: str | int) -> int | None:
    """The bytes that a size means (`256mb` is 256 · 2^20, `256m` is 256 · 10^6), or None where it is none."""
    found = _SIZE.fullmatch(str(size))
    return int(found[1]) * _SIZE_UNIT[(found[2] or "").lower()] if found else None


def seconds_of(duration: str) -> int | None:
    """The seconds that a duration means (`5m` is 300), or None where it is none."""
    found = _DURATION.fullmatch(duration)
    return int(found[1]) * _DURATION_UNIT[found[2]] if found else None


def _int(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int):
        return f"must be a whole number, without quotes; it is {_shown(value)}"
    return _bounds_problem(parameter, value, "")


def _port(parameter: Parameter, value: Value) -> str:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 65535:
        return f"must be a port, a number from 1 to 65535 without quotes; it is {_shown(value)}"
    return _bounds_problem(parameter, value, "")


def _bool(_: Parameter, value: Value) -> str:
    return "" if isinstance(value, bool) else f"must be true or false, without quotes; it is {_shown(value)}"


def _size(parameter: Parameter, value: Value) -> str:
    size = None if isinstance(value, bool) else bytes_of(value)
    if size is None:
        return f"must be a size such as 256mb or 1gb; it is {_shown(value)}"
    return _bounds_problem(parameter, size, " bytes")


def _duration(parameter: Parameter, value: Value) -> str:
    seconds = seconds_of(value) if isinstance(value, str) else None
    if seconds is None:
        return f"must be a duration such as 30s or 5m; it is {_shown(value)}"
    return _bounds_problem(parameter, seconds, " seconds")


def _string(parameter: Parameter, value: Value) -> str:
    if not isinstance(value, str):
        return f"must be text; put it in quotes: {_shown(as_text(value))}"
    return _control_problem(value) or _bounds_problem(parameter, len(value), " characters")


def _text(parameter: Parameter, value: Value) -> str:
    if not isinstance(value, str):
        return f"must be text; put it in quotes: {_shown(as_text(value))}"
    return _bounds_problem(parameter, len(value), " characters")


def _enum(parameter: Parameter, value: Value) -> str:
    if not isinstance(value, str):
        return f"must be text; put it in quotes: {_shown(as_text(value))}"
    if value in parameter.choices:
        return ""
    return f"must be one of {', '.join(parameter.choices)}; it is {_shown(value)}"


def _path(parameter: Parameter, value: Value) -> str:
    if not isinstance(value, str) or not value.startswith("/") or ".." in value.split("/"):
        return f"must be an absolute path without ..; it is {_shown(value)}"
    return _string(parameter, value)


def _peer(_: Parameter, value: Value) -> str:
    found = _PEER.fullmatch(value) if isinstance(value, str) else None
    if found is None or int(found[2]) > 65535:
        return f"must be host:port, such as db-1.example:3306; it is {_shown(value)}"
    return ""


_READ: dict[str, Callable[[Parameter, Value], str]] = {
    "int": _int,
    "size": _size,
    "bool": _bool,
    "string": _string,
    "enum": _enum,
    "port": _port,
    "path": _path,
    "duration": _duration,
    "peer": _peer,
    "text": _text,
}


def _bounds_problem(parameter: Parameter, number: int, unit: str) -> str:
    if parameter.min is not None and number < parameter.min:
        return f"must be at least {parameter.min}{unit}; it is {number}"
    if parameter.max is not None and number > parameter.max:
        return f"must be at most {parameter.max}{unit}; it is {number}"
    return ""


def _control_problem(value: str, allowed: str = "") -> str:
    """Control characters, and the line ends of Unicode: a value must not end a line of a configuration file."""
    if any(c not in allowed and (category(c) == "Cc" or c in "\u2028\u2029") for c in value):
        return "holds a control character; take it out" if allowed else "holds a line end or another control character"
    return ""


def _shown(value: Value) -> str:
    text = as_text(value) if not isinstance(value, str) else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
