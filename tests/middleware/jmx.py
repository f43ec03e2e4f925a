"""The JMX exporter of Prometheus, an agent for Java: upstream publishes one jar, in Maven's repositories."""

import os
from pathlib import Path

from tests.middleware.archives import Package, cache_folder, package_of
from tests.middleware.maven import jar_of


def jmx_jar(version: str = "1.0.1", cache: Path | None = None) -> Package:
    """`jmx_prometheus_javaagent-<version>.jar`: 0.20.0 or 1.0.1."""
    name = f"jmx_prometheus_javaagent-{version}.jar"
    kept = (cache or cache_folder()) / name
    if not kept.exists():
        partial = kept.with_name(f".{name}.{os.getpid()}")
        partial.write_bytes(jar_of(f"io.prometheus.jmx:jmx_prometheus_javaagent:{version}", cache))
        partial.rename(kept)
    return package_of("jmx_prometheus_javaagent", version, kept)
