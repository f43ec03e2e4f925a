"""One difference between what shall be and what is, and why it is acted upon."""

from typing import Literal

from msgspec import Struct

from desired_state.contract import Effect
from desired_state.names import ServiceName, Text

Aspect = Literal[
    "presence", "version", "package", "parameter", "configuration", "process", "adoption", "monitoring", "data", "kind"
]
Intent = Literal["intended", "corrective"]
"""Somebody asked for it; or it repairs drift."""


class Change(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One difference. `desired`, `recorded` and `observed` are texts for people; empty where there is none."""

    service: ServiceName
    aspect: Aspect
    intent: Intent
    reason: Text
    field: str = ""
    desired: str = ""
    recorded: str = ""
    observed: str = ""
    effect: Effect = Effect.NONE
    """What a running process needs before it has the change."""
