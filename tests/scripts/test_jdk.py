"""jdkctl.sh with real runtimes, and with an archive of a JDK's layout."""

from pathlib import Path

from tests.middleware import java_runtime_archive
from tests.scripts.calling import Service


def jdk(folder: Path, name: str = "jdk", version: str = "21.0.8", **parameters: str) -> Service:
    packages = {"jdk": java_runtime_archive(version)}
    return Service(kind="jdk", name=name, folder=folder, version=version, packages=packages, parameters=parameters)


def test_several_versions_side_by_side(folder: Path) -> None:
    """Each is found by its own environment file; one goes, the other one stays."""
    old, new = jdk(folder, "old", "17.0.9"), jdk(folder, "new", "21.0.8")
    for service in (old, new):
        service.do("install", "configure", "start")
    assert ["17.0.9", "21.0.8"] == [service.status().facts["version"] for service in (old, new)]
    assert f"JAVA_HOME={new.root}/current\n" == (new.root / "etc/java.env").read_text()
    old.do("stop", "uninstall", "purge")
    assert (["jdk-21.0.8"], "running") == ([p.name for p in (new.prefix / "packages").iterdir()], new.state_now())


def test_what_is_asked_of_it_must_be_there(folder: Path) -> None:
    """A runtime is no JDK, and a module that it has not is named: before anything of the service is there."""
    said = jdk(folder, compiler="true").call("install")
    assert (6, True) == (said.code, "has no bin/javac" in said.reason)
    said = jdk(folder, modules="java.base jdk.nope jdk.compiler").call("install")
    assert (6, True, True) == (said.code, "no module jdk.nope" in said.reason, "no module jdk.compiler" in said.reason)
    assert "absent" == jdk(folder).state_now()


def test_a_java_that_no_longer_works_is_degraded(folder: Path) -> None:
    """A changed file is reason enough to ask it again; a look leaves no trace of that."""
    service = jdk(folder)
    service.do("install", "configure", "start")
    proven = (service.root / "run/in-use").read_text()
    (service.root / "current/lib/libjli.so").resolve().write_bytes(b"")
    said = service.status()
    assert (190, True) == (said.code, said.reason.startswith("java -version fails: "))
    assert proven == (service.root / "run/in-use").read_text()
    assert 1 == service.call("restart").code


def test_a_changed_file_that_does_no_harm_is_healthy(folder: Path) -> None:
    """It is java itself that is asked."""
    service = jdk(folder)
    service.do("install", "configure", "start")
    (service.root / "current/bin/java").resolve().touch()
    assert "running" == service.state_now()
