"""Several services that know each other, for real: formed, one of them lost, and back."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Self

from msgspec import Struct

from tests.scripts.calling import Service, eventually

WAIT_S = 240
"""A busy machine takes long to elect somebody."""


class Together(Struct, frozen=True, kw_only=True):
    """Members, and how one of them is told something and asked for it. Each step raises when it fails."""

    members: Sequence[Service]
    write: Callable[[Service, str], None]
    """Tells this member one more thing."""
    read: Callable[[Service], Sequence[str]]
    """All that this member was told, or another one."""

    def form(self) -> Self:
        """All are installed and started, and say that all is well."""
        for member in self.members:
            member.do("install", "configure")
        start_together(self.members)
        self.are_well()
        return self

    def tell(self, writer: int, text: str) -> Self:
        """One is told, and all that run tell it."""
        self.write(self.members[writer], text)
        self.all_tell(text)
        return self

    def all_tell(self, text: str) -> None:
        """Each that runs has it."""
        for member in self.members:
            if member.state_now() != "stopped":
                has_it = eventually(WAIT_S, lambda member=member: text in self.read(member))  # type: ignore[misc]
                assert has_it, f"{member.name} does not tell what another one was told: {text}"

    def lose(self, lost: int, words: str, *, everybody: bool = False) -> Self:
        """SIGKILL for one; somebody, or everybody else, is degraded and says why, in words that begin so."""
        self.are_well()  # what it was told just now has its second copy, too
        os.kill(self.members[lost].process(), signal.SIGKILL)
        others = [member for member in self.members if member is not self.members[lost]]
        enough = all if everybody else any
        named = eventually(WAIT_S, lambda: enough(_says(member, words) for member in others))
        reasons = [member.status().reason for member in others]
        assert named, f"{'not everybody' if everybody else 'nobody'} says {words!r}: {reasons}"
        return self

    def comes_back(self, lost: int, text: str) -> None:
        """The lost one is started again: all are well, and it tells what it has missed."""
        start_together([self.members[lost]])
        self.are_well()
        self.all_tell(text)

    def are_well(self) -> None:
        """Each one says so, sooner or later."""
        for member in self.members:
            well = eventually(WAIT_S, lambda member=member: member.state_now() == "running")  # type: ignore[misc]
            assert well, f"{member.name} is {member.state_now()}: {member.status().reason}"


def _says(member: Service, words: str) -> bool:
    said = member.status()
    return said.facts["state"] == "degraded" and said.reason.startswith(words)


def start_together(members: Sequence[Service]) -> None:
    """None is ready before most of them are up; on a busy machine that takes more than one call may."""
    for _ in range(5):
        starts = [member.begin("start") for member in members]
        if all([start.wait().code == 0 for start in starts]):  # noqa: C419  each is waited for
            return
    raise AssertionError(members[0].call("start").reason)
