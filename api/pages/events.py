"""How lines of the audit log look: what was refused stands out, and subjects lead to their pages."""

from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from api.services.log import Event

REFUSALS = ("refused", "failed", "denied")
PAGES = {"host": "/hosts/", "service": "/services/", "change": "/changes/"}


class EventLine(Struct, frozen=True, kw_only=True):
    """One line."""

    at: datetime
    actor: str
    action: str
    subject: str
    detail: dict[str, str]
    refused: bool
    link: str


def event_lines(events: Iterable[Event]) -> list[EventLine]:
    """Lines for the template."""
    return [
        EventLine(
            at=event.at,
            actor=event.actor,
            action=event.action,
            subject=event.subject,
            detail=event.detail,
            refused=event.action.endswith(REFUSALS),
            link=link_to(event.subject),
        )
        for event in events
    ]


def link_to(subject: str) -> str:
    """The page of `<noun>/<name>`; empty where it has none."""
    noun, _, name = subject.partition("/")
    return f"{PAGES[noun]}{name}" if noun in PAGES and name and "/" not in name else ""
