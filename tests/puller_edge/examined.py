"""A host to be examined, and what the doctor says of it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from puller.doctor.examination import CHECKS, examine
from puller.doctor.finding import Finding
from puller.identity import generate_keys, store_keys
from puller.paths import Paths
from puller.settings import Settings, SourceSettings, store_settings
from tests.core.publisher import HOST, trust_note


def host(folder: Path, *, url: str = "", source: SourceSettings | None = None, ca_file: Path | None = None) -> Paths:
    """One that is enrolled; with a folder as its source when nothing else is said."""
    paths = Paths(folder / "prefix")
    paths.state.mkdir(parents=True, mode=0o700)
    paths.trust.write_bytes(trust_note())
    store_keys(generate_keys(), paths.keys)
    if source is None and not url:
        source = SourceSettings(type="directory", path=folder / "published")
    settings = Settings(host=HOST, backend_url=url, source=source or SourceSettings(), ca_file=ca_file)
    store_settings(paths, settings)
    return paths


def findings(paths: Paths, check: str, environ: Mapping[str, str] | None = None) -> list[Finding]:
    """What one check finds."""
    chosen = [each for each in CHECKS if each.name == check]
    assert chosen, check
    return list(asyncio.run(examine(paths, environ or {}, chosen)).findings)


def finding(paths: Paths, check: str, environ: Mapping[str, str] | None = None) -> tuple[str, str]:
    """Verdict and words of the worst finding of a check."""
    order = ("fault", "warning", "ok", "skipped")
    worst = min(findings(paths, check, environ), key=lambda found: order.index(found.verdict))
    return worst.verdict, worst.found
