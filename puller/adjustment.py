"""What a person says of the settings, at enrolment or later: whom to trust for TLS, where documents come from.

It stands above what the settings file has, and that above what the backend tells. Who this host is, and whom it
believes, is no matter of settings: keys and trust come from enrolment alone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct
from msgspec.structs import asdict, replace

from desired_state.enrolment import SourceSettings as ToldSource
from puller.paths import Paths
from puller.ports import Stalled
from puller.settings import Misconfigured, Settings, SourceSettings, load_settings, store_settings


class Given(Struct, frozen=True, kw_only=True):
    """What a person says now; None and empty: nothing. `source` has fields of SourceSettings."""

    ca_file: Path | None = None
    metrics_dir: Path | None = None
    source: Mapping[str, Any] = {}


def adjust(paths: Paths, given: Given) -> bool:
    """Puts what was given into the settings of a host that is enrolled; whether that changed them.

    An agent that runs takes them at its next start. Raises Stalled when there are no settings, or none that do.
    """
    before = read_settings(paths, {})
    settings = adjusted(before, given)
    if settings != before:
        store_settings(paths, settings)
    return settings != before


def adjusted(before: Settings, given: Given, told: tuple[ToldSource, ...] = ()) -> Settings:
    """The settings with what was given and told. Raises Stalled where that makes no sense together."""
    source = _source(told, before.source, given.source)
    if source.type == "git" and not source.url:
        raise Stalled("documents shall come from git, and nobody said from which repository: --git-url")
    return replace(
        before,
        ca_file=given.ca_file or before.ca_file,
        metrics_dir=given.metrics_dir or before.metrics_dir,
        source=source,
    )


def read_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """The settings as they stand. Raises Stalled with what to do."""
    try:
        return load_settings(paths, environ)
    except Misconfigured as error:
        raise Stalled(f"the settings cannot be kept: {error}. Correct them, or move {paths.settings} away") from error


def _source(sources: tuple[ToldSource, ...], before: SourceSettings, given: Mapping[str, Any]) -> SourceSettings:
    """What was given now, above what stood in the settings, above what the backend tells."""
    told = {name: value for name, value in asdict(sources[0]).items() if value} if sources else {}
    kept = {name: value for name, value in asdict(before).items() if value != getattr(SourceSettings(), name)}
    if given.get("type", before.type) != before.type and "type" in kept:
        kept = {}  # a folder means nothing to git, nor a branch to a folder
    merged = {**told, **kept, **given}
    if merged.get("type", "http") != told.get("type", "http"):
        merged = {**kept, **given}  # a branch or an address of another kind of source means nothing
    if isinstance(merged.get("path"), str):
        merged["path"] = Path(merged["path"])
    return SourceSettings(**merged)
