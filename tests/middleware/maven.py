"""Jars from Maven's repositories, by its ordinary client and the machine's own settings."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.middleware.archives import Unavailable, cache_folder


class NoMaven(Unavailable):
    """Maven's repositories cannot be reached from this machine, or it has no client for them."""


DOWNLOAD_TIMEOUT_S = 600
_GOAL = "dependency:copy-dependencies"
_BOM = "<type>pom</type><scope>import</scope>"


def jars_of(coordinates: tuple[str, ...], cache: Path | None = None, *, versions: str = "") -> dict[str, bytes]:
    """These artifacts (group:artifact:version) and all that they need at run time, by file name.

    `versions` is an artifact that names the versions that fit each other (a BOM): without it Maven takes the nearest.
    """
    repository = (cache or cache_folder()) / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    if shutil.which("mvn") is None:
        raise NoMaven(f"{coordinates[0]}: there is no mvn on this machine (Debian's package maven)")
    with tempfile.TemporaryDirectory(dir=repository.parent) as scratch:
        project = Path(scratch) / "pom.xml"
        project.write_text(_project(coordinates, versions))
        command = ["mvn", "-q", "-B", "-ntp", "-f", str(project), f"-Dmaven.repo.local={repository}", _GOAL]
        done = subprocess.run(
            [*command, "-DincludeScope=runtime", f"-DoutputDirectory={scratch}/jars"],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
        if done.returncode != 0:
            said = " / ".join((done.stdout + done.stderr).strip().splitlines()[:3])
            raise NoMaven(f"{', '.join(coordinates)} could not be downloaded by Maven: {said[:400]}")
        return {path.name: path.read_bytes() for path in (Path(scratch) / "jars").glob("*.jar")}


def jar_of(coordinates: str, cache: Path | None = None) -> bytes:
    """One artifact (group:artifact:version) alone: for those whose list of what they need is in no repository."""
    repository = (cache or cache_folder()) / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    if shutil.which("mvn") is None:
        raise NoMaven(f"{coordinates}: there is no mvn on this machine (Debian's package maven)")
    with tempfile.TemporaryDirectory(dir=repository.parent) as scratch:
        command = ["mvn", "-q", "-B", "-ntp", f"-Dmaven.repo.local={repository}", "dependency:copy"]
        done = subprocess.run(
            [*command, f"-Dartifact={coordinates}", f"-DoutputDirectory={scratch}"],
            cwd=scratch,
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
        found = list(Path(scratch).glob("*.jar"))
        if done.returncode != 0 or not found:
            said = " / ".join((done.stdout + done.stderr).strip().splitlines()[:3])
            raise NoMaven(f"{coordinates} could not be downloaded by Maven: {said[:400]}")
        return found[0].read_bytes()


def _project(coordinates: tuple[str, ...], versions: str) -> str:
    managed = f"<dependencyManagement><dependencies>{_dependency(versions, _BOM)}</dependencies></dependencyManagement>"
    wanted = "".join(_dependency(one) for one in coordinates)
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>towline</groupId><artifactId>wanted</artifactId><version>1</version><packaging>pom</packaging>"
        f"{managed if versions else ''}<dependencies>{wanted}</dependencies></project>"
    )


def _dependency(coordinate: str, more: str = "") -> str:
    group, _, rest = coordinate.partition(":")
    artifact, _, version = rest.partition(":")
    return (
        f"<dependency><groupId>{group}</groupId><artifactId>{artifact}</artifactId>"
        f"<version>{version}</version>{more}</dependency>"
    )


def artifact_of(coordinate: str, cache: Path | None = None) -> Path:
    """One file of a repository (group:artifact:version:type), nothing that it needs."""
    repository = (cache or cache_folder()) / "maven"
    repository.mkdir(parents=True, exist_ok=True)
    if shutil.which("mvn") is None:
        raise NoMaven(f"{coordinate}: there is no mvn on this machine (Debian's package maven)")
    command = ["mvn", "-q", "-B", "-ntp", f"-Dmaven.repo.local={repository}", "dependency:get", "-Dtransitive=false"]
    done = subprocess.run(
        [*command, f"-Dartifact={coordinate}"],
        capture_output=True,
        text=True,
        timeout=DOWNLOAD_TIMEOUT_S,
        check=False,
    )
    group, artifact, version, kind = coordinate.split(":")
    file = repository.joinpath(*group.split("."), artifact, version, f"{artifact}-{version}.{kind}")
    if done.returncode != 0 or not file.exists():
        said = " / ".join((done.stdout + done.stderr).strip().splitlines()[:3])
        raise NoMaven(f"{coordinate} could not be downloaded by Maven: {said[:400]}")
    return file
