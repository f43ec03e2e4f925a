"""The document's bytes: one text form, and everything else refused with a reason."""

import re
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.document import MAX_BYTES, NotADocument, Service, decode, encode
from tests.core.publisher import document_of

GOOD = encode(document_of())


def refusal(data: bytes) -> str:
    """Why bytes are no document; places in lists written as `[...]`, as some versions of msgspec do."""
    with pytest.raises(NotADocument) as caught:
        decode(data)
    return re.sub(r"\[[0-9]+\]", "[...]", str(caught.value))


def test_a_document_reads_back() -> None:
    """What is written reads back as the same document, and writes the same bytes."""
    assert (document_of(), GOOD) == (decode(GOOD), encode(decode(GOOD)))


def test_the_text_is_for_people() -> None:
    """The text has a line per field, ends in one newline, and keeps letters as they are."""
    lines = GOOD.decode().split("\n")
    assert ('  "host": "app-1.example",', "") == (lines[2], lines[-1])
    assert "张伟" in GOOD.decode()


def test_values_keep_their_type() -> None:
    """`true`, `1` and `"1"` are three different values, before and after."""
    service = Service(name="a", kind="k", version="1", parameters={"a": True, "b": 1, "c": "1"})
    read = decode(encode(document_of(services=(service,)))).services[0].parameters
    assert [("a", bool), ("b", int), ("c", str)] == [(name, type(value)) for name, value in read.items()]


def replaced(old: bytes, new: bytes) -> bytes:
    """The good document with one piece of text replaced."""
    assert GOOD.count(old) == 1
    return GOOD.replace(old, new)


OTHER_FORMS: dict[str, Callable[[], bytes]] = {
    "duplicate key": lambda: replaced(b'"revision": 7', b'"revision": 9,\n  "revision": 7'),
    "duplicate parameter": lambda: replaced(b'"port": 6379', b'"port": 1,\n        "port": 6379'),
    "duplicate key spelled with an escape": lambda: replaced(b'"port": 6379', b'"port": 1, "p\\u006frt": 6379'),
    "spacing": lambda: replaced(b'"revision": 7', b'"revision":  7'),
    "tabs": lambda: GOOD.replace(b"  ", b"\t"),
    "one line": lambda: msgspec.json.encode(document_of(), order="deterministic") + b"\n",
    "order of fields": lambda: replaced(b'  "epoch": 1,\n  "revision": 7,\n', b'  "revision": 7,\n  "epoch": 1,\n'),
    "order of parameters": lambda: replaced(
        b'"maxmemory": "256mb",\n        "port": 6379', b'"port": 6379,\n        "maxmemory": "256mb"'
    ),
    "default written out": lambda: replaced(b'"kind": "redis",', b'"kind": "redis",\n      "state": "running",'),
    "escaped letter": lambda: replaced(b'"256mb"', b'"\\u0032\\u0035\\u0036mb"'),
    "no newline": lambda: GOOD[:-1],
    "two newlines": lambda: GOOD + b"\n",
    "leading space": lambda: b" " + GOOD,
    "other time zone": lambda: replaced(b"2026-03-01T12:00:00Z", b"2026-03-01T12:00:00+00:00"),
    "offset zero, small z": lambda: replaced(b"2026-03-01T12:00:00Z", b"2026-03-01T12:00:00z"),
}


@pytest.mark.parametrize("make", OTHER_FORMS.values(), ids=OTHER_FORMS.keys())
def test_another_form_is_refused(make: Callable[[], bytes]) -> None:
    """The same content in any other form is refused: nothing can hide in a second one."""
    assert "one text form" in refusal(make())


WRONG: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "truncated"),
    "not JSON": (lambda: b"hello\n", "malformed"),
    "not UTF-8": (lambda: replaced("张伟".encode(), b"\xff\xfe"), "utf-8"),
    "a list": (lambda: b"[]\n", "Expected `object`"),
    "unknown field": (lambda: replaced(b'"revision": 7', b'"revision": 7, "extra": 1'), "unknown field `extra`"),
    "unknown field of a service": (
        lambda: replaced(b'"kind": "redis"', b'"kind": "redis", "run": "rm"'),
        "unknown field `run` - at `$.services[...]`",
    ),
    "missing field": (lambda: replaced(b'  "revision": 7,\n', b""), "missing required field `revision`"),
    "another schema": (lambda: replaced(b"towline.document/1", b"towline.document/2"), "$.schema"),
    "a float": (lambda: replaced(b'"revision": 7', b'"revision": 7.0'), "$.revision"),
    "a float parameter": (lambda: replaced(b'"port": 6379', b'"port": 6379.5'), "$.services[...].parameters[...]"),
    "an exponent": (lambda: replaced(b'"port": 6379', b'"port": 1e3'), "$.services[...].parameters[...]"),
    "NaN": (lambda: replaced(b'"port": 6379', b'"port": NaN'), "malformed"),
    "Infinity": (lambda: replaced(b'"port": 6379', b'"port": Infinity'), "malformed"),
    "null parameter": (lambda: replaced(b'"port": 6379', b'"port": null'), "$.services[...].parameters[...]"),
    "nested parameter": (lambda: replaced(b'"port": 6379', b'"port": {"a": 1}'), "$.services[...].parameters[...]"),
    "a huge number": (lambda: replaced(b'"port": 6379', b'"port": 9007199254740993'), "$.services[...]"),
    "a number beyond 64 bits": (lambda: replaced(b'"port": 6379', b'"port": ' + b"9" * 400), "$.services[...]"),
    "revision 0": (lambda: replaced(b'"revision": 7', b'"revision": 0'), "$.revision"),
    "revision beyond 2^53": (lambda: replaced(b'"revision": 7', b'"revision": 9007199254740992'), "$.revision"),
    "text for a number": (lambda: replaced(b'"revision": 7', b'"revision": "7"'), "$.revision"),
    "a time without zone": (lambda: replaced(b"2026-03-01T12:00:00Z", b"2026-03-01T12:00:00"), "$.issued_at"),
    "host with a path": (lambda: replaced(b'"app-1.example"', b'"../app-1"'), "$.host"),
    "host with a newline": (lambda: replaced(b'"app-1.example"', b'"app-1\\n"'), "$.host"),
    "service with a path": (lambda: replaced(b'"name": "cache"', b'"name": "a/b"'), "$.services[...].name"),
    "service with a dash first": (lambda: replaced(b'"name": "cache"', b'"name": "-rf"'), "$.services[...].name"),
    "kind with a path": (lambda: replaced(b'"kind": "redis"', b'"kind": "../../bin/sh"'), "$.services[...].kind"),
    "kind in capitals": (lambda: replaced(b'"kind": "redis"', b'"kind": "Redis"'), "$.services[...].kind"),
    "parameter that is no variable": (lambda: replaced(b'"port": 6379', b'"a=b": 6379'), "$.services[...].parameters"),
    "parameter in capitals": (lambda: replaced(b'"port": 6379', b'"PATH": 6379'), "$.services[...].parameters"),
    "unknown state": (
        lambda: replaced(b'"kind": "redis"', b'"kind": "redis", "state": "gone"'),
        "$.services[...].state",
    ),
    "digest too short": (lambda: replaced(b"sha256:" + b"ab" * 32, b"sha256:ab"), "$.bundle.digest"),
    "digest in capitals": (lambda: replaced(b"sha256:" + b"ab" * 32, b"sha256:" + b"AB" * 32), "$.bundle.digest"),
    "file with a path": (lambda: replaced(b'"scripts.tar.gz"', b'"../scripts.tar.gz"'), "$.bundle.file"),
    "size beyond the bound": (lambda: replaced(b'"size": 4096', b'"size": 1099511627777'), "$.bundle.size"),
    "purge without absent": (
        lambda: replaced(
            b'"kind": "redis",\n      "version": "7.2",', b'"kind": "redis", "version": "7.2", "purge": true,'
        ),
        "purge goes with state absent only",
    ),
    "nested too deeply": (lambda: b'{"services": ' + b"[" * 200_000 + b"]" * 200_000 + b"}\n", ""),
    "nested too deeply in an unknown place": (lambda: b"[" * 500_000 + b"\n", ""),
    "too large": (lambda: GOOD + b" " * MAX_BYTES, "at most 1048576"),
}


@pytest.mark.parametrize(("make", "reason"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_is_refused_and_named(make: Callable[[], bytes], reason: str) -> None:
    """What is no document is refused, and the text names the field and what is wrong."""
    assert reason.lower() in refusal(make()).lower()


def test_services_are_sorted() -> None:
    """Services in another order, or one twice, are refused."""
    cache, orders = document_of().services
    reasons = {
        refusal(encode(document_of(services=services))) for services in ((orders, cache), (cache, cache), (cache,) * 3)
    }
    assert {"services are not sorted by name, or one is there twice - at `$.services`"} == reasons


def test_purge_goes_with_absent() -> None:
    """A service may be purged when it is absent, in no other state."""
    states = ["running", "stopped", "adopted", "absent"]
    made = [
        encode(document_of(services=(Service(name="a", kind="k", version="1", state=state, purge=True),)))
        for state in states  # type: ignore[arg-type]
    ]
    assert 3 == len([refusal(data) for data in made[:3]])
    assert decode(made[3]).services[0].purge


def test_a_document_at_the_bound_is_read() -> None:
    """A document of exactly the largest size is read; one byte more is refused."""
    services = [Service(name=f"s{n:03}", kind="k", version="1", parameters={"a": "x" * 65536}) for n in range(15)]
    filler = Service(name="t", kind="k", version="1", parameters={"a": ""})
    room = MAX_BYTES - len(encode(document_of(services=(*services, filler))))
    exact = _filled(services, room)
    assert (MAX_BYTES, len(services) + 1) == (len(exact), len(decode(exact).services))
    assert "at most" in refusal(_filled(services, room + 1))


def _filled(services: list[Service], length: int) -> bytes:
    filler = Service(name="t", kind="k", version="1", parameters={"a": "x" * length})
    return encode(document_of(services=(*services, filler)))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100) | JSON.map(msgspec.json.encode) | st.text(max_size=60).map(lambda t: t.encode()))
def test_any_bytes_are_refused_or_write_themselves(data: bytes) -> None:
    """Any bytes are refused with a text, or the document read from them writes the same bytes."""
    try:
        outcome: bytes | str = encode(decode(data))
    except NotADocument as refused:
        outcome = str(refused)
    assert outcome == data or (isinstance(outcome, str) and outcome != "")


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(GOOD) - 1), st.binary(max_size=2), st.integers(0, 3))
def test_any_edit_is_refused_or_another_document(place: int, new: bytes, cut: int) -> None:
    """Any edit of a document's bytes is refused, or gives a document that writes exactly those bytes."""
    data = GOOD[:place] + new + GOOD[place + cut :]
    try:
        outcome: bytes | None = encode(decode(data))
    except NotADocument:
        outcome = None
    assert outcome in (None, data)


def test_truncation_at_every_byte_is_refused() -> None:
    """A document cut at any byte is refused."""
    assert len(GOOD) == len([refusal(GOOD[:n]) for n in range(len(GOOD))])


def test_times_far_away_are_kept() -> None:
    """The last second that a calendar has is written and read."""
    far = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert far == decode(encode(document_of(expires_at=far))).expires_at
