"""What the puller may do now: the stricter of the document's word and the operator's."""

from datetime import datetime

from msgspec import Struct

from desired_state.document import Document, Mode
from puller.store.modes import Suspension


class Allowed(Struct, frozen=True, kw_only=True):
    """The mode in force."""

    mode: Mode
    suspended_locally: str = ""
    """Why, when it is this host's own operator who suspended it."""


def allowed(document: Document | None, suspension: Suspension | None, now: datetime) -> Allowed:
    """The mode in force. A word that has expired is no word."""
    if suspension is not None and (suspension.until is None or now < suspension.until):
        until = f" (until {suspension.until:%Y-%m-%d %H:%M} UTC)" if suspension.until else ""
        return Allowed(mode="suspended", suspended_locally=f"{suspension.reason}{until}")
    if document is None or (document.mode_until is not None and now >= document.mode_until):
        return Allowed(mode="enforce")
    return Allowed(mode=document.mode)
