"""What a check found."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

if TYPE_CHECKING:
    from puller.doctor.case import Case

Verdict = Literal["fault", "warning", "ok", "skipped"]
"""Worst first."""


class Finding(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sentence about this host."""

    check: str = ""
    verdict: Verdict
    found: str
    advice: str = ""
    """What to do."""


Look = Callable[["Case"], Iterable[Finding] | Awaitable[Iterable[Finding]]]


class Check(Struct, frozen=True):
    """A check by its name. A function that is not async runs in a thread of its own."""

    name: str
    look: Look


class NotNow(Exception):
    """This cannot be checked, because something before it is wrong. The text says what."""


def ok(found: str) -> Finding:
    """As it should be."""
    return Finding(verdict="ok", found=found)


def warning(found: str, advice: str) -> Finding:
    """Works, and will not for long or not wholly."""
    return Finding(verdict="warning", found=found, advice=advice)


def fault(found: str, advice: str) -> Finding:
    """Does not work."""
    return Finding(verdict="fault", found=found, advice=advice)


def skipped(why: str) -> Finding:
    """Not checked."""
    return Finding(verdict="skipped", found=why)
