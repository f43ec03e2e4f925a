"""What the conformance run has to know of a kind: a module of that name beside this one has its CASE."""

from collections.abc import Callable, Mapping
from importlib import import_module

from msgspec import Struct

from tests.middleware import Package
from tests.scripts.calling import Service


class Case(Struct, frozen=True, kw_only=True):
    """Good and bad input of one kind, and where its values arrive."""

    version: str
    packages: Callable[[], Mapping[str, Package]]
    parameters: Callable[[int], Mapping[str, str]]
    """Good parameters for a service on that port."""
    secrets: Mapping[str, str] = {}
    """Good secrets; their text is searched for everywhere."""
    secret_files: frozenset[str] = frozenset()
    """The only files, below the service's folder, that may hold a secret."""
    bad: tuple[tuple[str, str], ...] = ()
    """Parameters that must be refused, each with a value."""
    arrives: Mapping[str, Callable[[Service], str]] = {}
    """Free text: how to read back what the configuration made of it."""
    data: str = "data/kept"
    """A file below the service's folder that uninstall must keep."""


def case_of(kind: str) -> Case:
    """The case of a kind; a kind without one cannot pass."""
    case: Case = import_module(f"tests.scripts.kinds.{kind}").CASE
    return case
