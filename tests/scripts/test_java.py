"""javactl.sh against a real JVM."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from tests.middleware import java_app_archive, java_runtime_archive
from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port

CASE = case_of("java")


def java(folder: Path, **parameters: str) -> Service:
    return Service(
        kind="java",
        name="app",
        folder=folder,
        version="1.0.0",
        packages=CASE.packages(),
        parameters={**CASE.parameters(free_port()), **parameters},
    )


def adopting(folder: Path, name: str = "legacy", **parameters: str) -> Service:
    return Service(kind="java", name=name, folder=folder, parameters=parameters, state="adopted")


def runtime(folder: Path) -> Path:
    """A Java of nobody's, unpacked where an operator once put it."""
    if not (folder / "jdk-25.0.2").exists():
        subprocess.run(["tar", "-xf", str(java_runtime_archive().path), "-C", str(folder)], check=True)
    return folder / "jdk-25.0.2" / "bin" / "java"


@contextmanager
def somebodys_server(folder: Path, port: int, marker: str = "shop") -> Iterator[subprocess.Popen[bytes]]:
    """A JVM that somebody started by hand long ago, in its own way."""
    home = folder / f"home of {marker}"
    home.mkdir(exist_ok=True)
    (home / "health").write_text("UP")
    process = subprocess.Popen(
        [
            *(str(runtime(folder)), f"-Dservice={marker}", "-Dodd=a b $(id)"),
            *("-m", "jdk.httpserver", "-b", "127.0.0.1", "-p", str(port), "-d", str(home)),
        ],
        cwd=home,
        env={"PATH": "/usr/bin:/bin", "GREETING": "good\nday", "odd.name": "kept", "SHLVL": "3"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert eventually(30, lambda: _answers(port))
        yield process
    finally:
        process.kill()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _proc(pid: int | str, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def _start_time(pid: int) -> str:
    return _proc(pid, "stat").decode().rpartition(") ")[2].split()[19]


def test_take_over_restarts_nothing(folder: Path) -> None:
    """Pid and start time stay what they were; the adopted one is looked after like any other; twice changes nothing."""
    port = free_port()
    with somebodys_server(folder, port) as process:
        before = (str(process.pid), _start_time(process.pid))
        service = adopting(folder, port=str(port), health_path="/health")
        said = service.do("take_over")
        assert ("1", before) == (said.changed, (said.facts["pid"], said.facts["start_time"]))
        assert str(port) == said.facts["port"]
        status = service.status()
        assert (0, before) == (status.code, (status.facts["pid"], status.facts["start_time"]))
        assert {"exe", "command", "boot_id"} <= status.facts.keys()
        assert "0" == service.do("take_over").changed
        assert None is process.poll()


def test_after_its_death_it_starts_the_way_it_was(folder: Path) -> None:
    """Command line, environment and working directory, byte for byte, odd names too; the log has its output."""
    port = free_port()
    with somebodys_server(folder, port) as process:
        service = adopting(folder, port=str(port), health_path="/health")
        service.do("take_over")
        was = {name: _proc(process.pid, name) for name in ("cmdline", "environ")}
        where = Path(f"/proc/{process.pid}/cwd").readlink()
        process.kill()
        process.wait(10)
        assert (7, True) == (service.status().code, "is gone" in service.status().reason)
        assert "1" == service.do("start").changed
        now = service.process()
        assert was["cmdline"] == _proc(now, "cmdline")
        assert sorted(was["environ"].split(b"\0")) == sorted(_proc(now, "environ").split(b"\0"))
        assert where == Path(f"/proc/{now}/cwd").readlink()
        assert "running" == service.state_now()
        service.do("stop")
        assert "stopped" == service.state_now()


def test_one_that_its_owner_started_again_is_adopted_anew(folder: Path) -> None:
    """No second one is started beside it."""
    port = free_port()
    service = adopting(folder, port=str(port), health_path="/health")
    with somebodys_server(folder, port):
        service.do("take_over")
    with somebodys_server(folder, port) as again:
        assert "stopped" == service.state_now()
        service.do("start")
        assert again.pid == service.process()


def test_exactly_one_must_match(folder: Path) -> None:
    """None or several: exit 5, the candidates are named, nothing is recorded."""
    first, second = free_port(), free_port()
    with somebodys_server(folder, first, "shop-a"), somebodys_server(folder, second, "shop-b") as wanted:
        said = adopting(folder, match="Dservice=shop-").call("take_over")
        assert (5, True) == (said.code, said.reason.startswith("2 processes match, one is needed: "))
        assert str(wanted.pid) in said.reason
        said = adopting(folder, match="no such thing").call("take_over")
        assert (5, True) == (said.code, "no java process here matches" in said.reason)
        assert "absent" == adopting(folder).state_now()
        service = adopting(folder, match="service=shop-?*-p*" + str(second))
        assert str(wanted.pid) == service.do("take_over").facts["pid"]
    said = adopting(folder, "other").call("take_over")
    assert (6, True) == (said.code, "say by match or port" in said.reason)


def test_release_gives_it_back_running(folder: Path) -> None:
    """It runs on, is nobody's, and can be found again."""
    port = free_port()
    with somebodys_server(folder, port) as process:
        service = adopting(folder, port=str(port))
        service.do("take_over")
        assert [] == [line for line in service.do_discover() if f"pid={process.pid};" in line]
        assert ("1", "0") == (service.do("release").changed, service.do("release").changed)
        assert "absent" == service.state_now()
        found = [line for line in service.do_discover() if f"pid={process.pid};" in line]
        assert 1 == len(found)
        assert f"port={port};" in found[0]
        assert found[0].endswith("name=jdk.httpserver")
        assert None is process.poll()


def test_from_adopted_to_installed(folder: Path) -> None:
    """Declared running with a package: stop, install, configure, start; then it is our own launch."""
    port = free_port()
    with somebodys_server(folder, port) as process:
        service = adopting(folder, port=str(port), health_path="/health")
        service.do("take_over")
        own = java(folder, port=str(port))
        own.name, own.root = service.name, service.root
        own.do("stop")
        process.wait(10)
        own.do("install", "configure", "start")
        assert str(own.root / "jdk/bin/java").encode() == _proc(own.process(), "cmdline").split(b"\0")[0]
        assert not (own.root / "run/adopted").exists()
        own.do("stop", "start")
        assert "1.0.0" == own.status().facts["version"]


def test_adoption_killed_anywhere_is_repeated(folder: Path) -> None:
    """Killed at several moments: the process lives, and the same call again adopts it."""
    port = free_port()
    with somebodys_server(folder, port) as process:
        service = adopting(folder, port=str(port))
        for seconds in (0.01, 0.02, 0.03, 0.04, 0.06):
            service.begin("take_over").kill_after(seconds)
            assert service.status().code in (0, 5)
            assert str(process.pid) == service.do("take_over").facts["pid"]
            service.do("release")
        assert None is process.poll()


def test_options_environment_and_placeholders_arrive(folder: Path) -> None:
    """As words of the command line and as environment, byte for byte; no shell reads them."""
    service = java(
        folder,
        jvm_options="-Da=$(id)\n-Db=two words ☃\n-Dc='q'",
        environment="GREETING=a b  c\nEMPTY=\nCOMMAND=$(id)",
        arguments="-b 127.0.0.1 -p {port} -d {home}/content",
        max_heap="40mb",
    )
    service.do("install", "configure", "start")
    pid = service.process()
    words = _proc(pid, "cmdline").decode().split("\0")[:-1]
    home = service.root / "current"
    assert ["-Xmx41943040", "-Da=$(id)", "-Db=two words ☃", "-Dc='q'", "-jar", f"{home}/app.jar"] == words[1:7]
    assert ["-p", service.parameters["port"], "-d", f"{home}/content"] == words[-4:]
    environment = _proc(pid, "environ").decode().split("\0")
    assert {"GREETING=a b  c", "EMPTY=", "COMMAND=$(id)"} <= set(environment)


def test_modules_and_classes_are_ways_to_run(folder: Path) -> None:
    """A module instead of a jar."""
    service = java(folder, module="jdk.httpserver")
    service.do("install", "configure", "start")
    assert b"-m\0jdk.httpserver\0" in _proc(service.process(), "cmdline")
    said = java(folder, module="a", jar="b.jar").call("configure")
    assert (6, True) == (said.code, "only one of jar, module and main_class" in said.reason)


def test_health_is_more_than_a_port(folder: Path) -> None:
    """A path that answers 404 is degraded, and start says so."""
    service = java(folder, health_path="/nowhere", start_timeout="2s")
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, "answers HTTP 404 to GET /nowhere" in said.reason)
    assert "degraded" == service.state_now()


def test_a_jvm_that_dies_says_why(folder: Path) -> None:
    """The end of its output is the reason."""
    service = java(folder, jvm_options="-XX:NoSuchOption")
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, "Unrecognized VM option" in said.reason), said.reason


def test_the_log_is_turned_over(folder: Path) -> None:
    """No more than log_keep files of log_max_size, and the newest line is kept."""
    service = java(folder, log_max_size="4kb", log_keep="2")
    service.do("install", "configure", "start")
    for number in range(200):
        urlopen(f"http://127.0.0.1:{service.parameters['port']}/health?{number}", timeout=10).close()
    log = service.root / "log" / "app.log"
    assert eventually(60, lambda: "health?199" in log.read_text())
    assert ["app.log", "app.log.1", "app.log.2"] == sorted(p.name for p in log.parent.iterdir())
    assert max(p.stat().st_size for p in log.parent.iterdir()) <= 4096


def test_an_upgrade_of_the_runtime_alone(folder: Path) -> None:
    """Two Java versions side by side; the service runs with the newer one, the other goes when nobody uses it."""
    service = java(folder)
    service.packages["jdk"] = java_runtime_archive("21.0.8")
    service.do("install", "configure", "start")
    assert "jdk-21.0.8" in service.status().facts["exe"]
    service.packages["jdk"] = java_runtime_archive("25.0.2")
    service.do("stop", "install", "configure", "start")
    assert "jdk-25.0.2" in service.status().facts["exe"]


def test_an_upgrade_of_the_service(folder: Path) -> None:
    """Another version of the app, the same runtime."""
    service = java(folder)
    service.do("install", "configure", "start")
    service.version, service.packages["app"] = "1.1.0", java_app_archive("1.1.0")
    service.do("stop", "install", "configure", "start")
    with urlopen(f"http://127.0.0.1:{service.parameters['port']}/version", timeout=10) as answer:
        assert b"1.1.0\n" == answer.read()
    assert "1.1.0" == service.status().facts["version"]


def test_stop_is_orderly_before_it_is_not(folder: Path) -> None:
    """TERM first; a process that is stopped (SIGSTOP) is killed after stop_timeout."""
    service = java(folder, stop_timeout="1s")
    service.do("install", "configure", "start")
    pid = service.process()
    os.kill(pid, signal.SIGSTOP)
    said = service.do("stop")
    assert "did not end within its time: killed" in said.err
    assert "stopped" == service.state_now()


def test_the_java_of_a_jdk_service_is_used(folder: Path) -> None:
    """Without a package of its own: the one that the jdk service has; a newer one from the next start on."""
    old, new = java_runtime_archive("21.0.8"), java_runtime_archive("25.0.2")
    jdk = Service(kind="jdk", name="jdk", folder=folder, version="21.0.8", packages={"jdk": old})
    jdk.do("install", "configure", "start")
    service = java(folder, jdk_service="jdk")
    service.packages = {"app": service.packages["app"]}
    service.do("install", "configure", "start")
    before = service.status()
    assert str(folder / "prefix/packages/jdk-21.0.8/bin/java") == before.facts["exe"]
    jdk.version, jdk.packages = "25.0.2", {"jdk": new}
    jdk.do("install", "configure", "restart")
    assert before.out == service.status().out
    assert (folder / "prefix/packages/jdk-21.0.8").is_dir()
    service.do("restart")
    assert str(folder / "prefix/packages/jdk-25.0.2/bin/java") == service.status().facts["exe"]
    assert not (folder / "prefix/packages/jdk-21.0.8").exists()
    service.parameters |= {"jdk_service": "", "java": str(runtime(folder))}
    service.do("configure", "restart")
    assert str(runtime(folder)) == service.status().facts["exe"]
    jdk.do("stop", "uninstall")
    assert not (folder / "prefix/packages/jdk-25.0.2").exists()


def test_a_jdk_service_that_is_not_there_is_a_prerequisite(folder: Path) -> None:
    """Exit 5, and nothing is installed."""
    service = java(folder, jdk_service="nowhere")
    service.packages = {"app": service.packages["app"]}
    said = service.call("install")
    assert (5, "there is no jdk service nowhere on this host") == (said.code, said.reason)
    assert "absent" == service.state_now()
