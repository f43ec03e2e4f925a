"""A Java runtime as a service: Temurin's, without a process of its own."""

import subprocess

from tests.middleware import java_runtime_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software


def _probe(service: Service) -> str:
    """What its java says, found as a service finds it."""
    home = (service.root / "etc/java.env").read_text().strip().removeprefix("JAVA_HOME=")
    said = subprocess.run([f"{home}/bin/java", "-version"], capture_output=True, text=True, timeout=60, check=True)
    return f"java -version: {said.stderr.split()[2].strip(chr(34))}"


def _software(version: str) -> Software:
    return Software(name="Temurin runtime", version=version, packages=lambda: {"jdk": java_runtime_archive(version)})


CASE = Case(
    version="25.0.2",
    packages=lambda: {"jdk": java_runtime_archive()},
    parameters=lambda _: {"modules": "java.base java.net.http"},
    bad=(("compiler", "yes"), ("modules", "java.base;id"), ("colour", "blue")),
    process=False,
    real=Real(
        software=(_software("11.0.13"), _software("17.0.9"), _software("21.0.8"), _software("25.0.2")),
        probe=_probe,
        cost_s=30,
    ),
)
