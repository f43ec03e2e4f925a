"""What a newer version would have written: the same, with fields that this one does not know."""

from typing import Any

import msgspec

MAPS = ("parameters", "secrets", "packages", "monitoring", "kinds", "verbs")
"""Fields whose keys are names, not fields."""


def of_a_newer_version(written: Any) -> bytes:
    """The bytes of a struct with an unknown field in every struct of it."""
    return msgspec.json.encode(_grown(msgspec.to_builtins(written)))


def _grown(value: Any) -> Any:
    if isinstance(value, list):
        return [_grown(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {key: inner if key in MAPS else _grown(inner) for key, inner in value.items()}
    return {**kept, "of_a_newer_version": {"also": ["this"]}}
