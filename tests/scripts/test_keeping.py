"""Who keeps a service, and the unit that systemd gets. Units were run on real systemd by hand; here is their text."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.scripts.calling import SCRIPTS, Running, Service, eventually
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port


def functions(folder: Path, code: str) -> str:
    """What some lines of bash print that have all functions of nginxctl.sh, for the service `web` below the folder."""
    text = (SCRIPTS / "nginxctl.sh").read_text().replace('"${here:-./}common.sh"', f'"{SCRIPTS}/common.sh"')
    script = folder / "nginxctl.sh"
    script.write_text(text.replace('run_verb "$@"', f"read_table\nthe_service web --prefix '{folder}/prefix'\n{code}"))
    (folder / "prefix").mkdir(exist_ok=True)
    said = subprocess.run(["bash", str(script)], capture_output=True, text=True, check=False, timeout=30)
    assert 0 == said.returncode, said.stderr
    return said.stdout


def test_a_scratch_prefix_is_kept_by_nobody(folder: Path) -> None:
    """Its unit names could meet those of another prefix."""
    assert "plain" == functions(folder, 'keeper; printf %s "$REPLY"')


@pytest.mark.parametrize("word", ["root", "user", "plain"])
def test_the_keeper_file_overrules(folder: Path, word: str) -> None:
    """An operator says who keeps the services of a prefix."""
    (folder / "prefix").mkdir()
    (folder / "prefix" / "keeper").write_text(f"{word}\n")
    assert word == functions(folder, 'keeper; printf %s "$REPLY"')


def test_another_word_in_the_keeper_file_is_none(folder: Path) -> None:
    """It is not taken for a command or a choice."""
    (folder / "prefix").mkdir()
    (folder / "prefix" / "keeper").write_text("$(touch canary)\n")
    assert "plain" == functions(folder, 'keeper; printf %s "$REPLY"')


def test_a_unit_of_ours_has_its_account_and_limits(folder: Path) -> None:
    """Own account, hardening, what the kind adds, restarted by systemd; paths are quoted."""
    code = 'keeper() { REPLY=root; }\nmake_account() { REPLY=towline-web; }\nunit_text "$run/launch"'
    unit = functions(folder, code).splitlines()
    run = f"{folder}/prefix/services/web/run"
    start = f'ExecStart=/bin/bash "{run}/launcher.sh" become unit "{folder}/prefix/services/web" "{run}/launch"'
    wanted = {start, "User=towline-web", "NoNewPrivileges=yes", "Restart=always", "KillMode=mixed"}
    assert wanted | {"AmbientCapabilities=CAP_NET_BIND_SERVICE", "WantedBy=multi-user.target"} <= set(unit)


def test_the_manager_waits_as_long_as_the_service_may_take_to_end(folder: Path) -> None:
    """Its own bound would end an orderly end with -9; a stop_timeout of after the start counts, too."""
    code = f"""keeper() {{ REPLY=root; }}
make_account() {{ REPLY=''; }}
unit_folder() {{ REPLY={folder}; }}
manager() {{ echo "$*"; }}
PARAM[stop_timeout]=5m
unit_text "$run/launch" >{folder}/towline-web.service
grep TimeoutStopSec {folder}/towline-web.service
PARAM[stop_timeout]=20m
stop_unit
grep TimeoutStopSec {folder}/towline-web.service"""
    said = functions(folder, code).splitlines()
    assert "TimeoutStopSec=300" == said[0]
    assert said.index("daemon-reload") < said.index("disable --quiet --now towline-web.service")
    assert ["disable --quiet --now towline-web.service", "TimeoutStopSec=1200"] == said[-2:]


def test_a_unit_that_is_about_to_start_is_stopped_before_a_new_start(folder: Path) -> None:
    """A start that a killed call has asked the manager for goes on by itself; one that runs already is left alone."""
    unit = folder / "towline-web.service"
    unit.touch()
    asked = f"""keeper() {{ REPLY=root; }}
unit_folder() {{ REPLY={folder}; }}
manager() {{ echo "$*"; }}
runs || echo 'does not run'
running() {{ true; }}
runs && echo runs"""
    assert ["stop towline-web.service", "does not run", "runs"] == functions(folder, asked).splitlines()
    unit.unlink()
    assert ["does not run", "runs"] == functions(folder, asked).splitlines()


def test_a_unit_of_an_adopted_process_has_no_new_limits(folder: Path) -> None:
    """It runs as it did: the launcher gives it its own account."""
    code = 'keeper() { REPLY=root; }\nmake_account() { REPLY=towline-web; }\nunit_text "$run/adopted"'
    unit = functions(folder, code)
    assert "User=" not in unit
    assert "NoNewPrivileges" not in unit
    assert "AmbientCapabilities" not in unit


def redis(folder: Path) -> Service:
    """One that is installed and configured."""
    case = case_of("redis")
    service = Service(
        kind="redis",
        name="one",
        folder=folder,
        version=case.version,
        packages=case.packages(),
        parameters=case.parameters(free_port()),
    )
    service.do("install", "configure")
    return service


def test_two_starts_at_once_start_one(folder: Path) -> None:
    """The launchers agree by a lock: the second one finds the first one's identity and ends."""
    service = redis(folder)
    service.do("start", "stop")
    for _ in range(5):
        subprocess.run(_launcher(service), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    assert eventually(60, lambda: service.state_now() == "running")
    assert eventually(60, lambda: _servers_below(folder) == [service.process()])
    service.do("stop")


def _launcher(service: Service) -> list[str]:
    """As keep.sh begins one, with the newest ticket."""
    run = service.root / "run"
    ticket = (run / "launch.lock").read_text().strip()
    command = ["setsid", "-f", "bash", f"{run}/launcher.sh", "become", "plain", str(service.root), f"{run}/launch"]
    return [*command, ticket]


def test_a_launcher_without_the_newest_ticket_starts_nothing(folder: Path) -> None:
    """Neither one of an earlier start nor one without any, nor after all was removed."""
    service = redis(folder)
    service.do("start")
    command = _launcher(service)[2:]
    service.do("stop")
    for late in (command, command[:-1], [*command[:-1], ""]):
        subprocess.run(late, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
        assert "stopped" == service.state_now()
    (folder / "launcher.sh").write_bytes((service.root / "run/launcher.sh").read_bytes())
    service.do("uninstall")
    late = ["bash", str(folder / "launcher.sh"), *command[2:]]
    subprocess.run(late, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, timeout=60)
    assert "absent" == service.state_now()


@pytest.mark.parametrize(
    ("verb", "state"), [("stop", "stopped"), ("restart", "running"), ("start", "running"), ("uninstall", "absent")]
)
def test_a_start_that_was_killed_does_not_happen_after_the_next_call(folder: Path, verb: str, state: str) -> None:
    """A killed call has begun a launcher that comes to itself only when the next call has returned."""
    service = redis(folder)
    held = Held(service, "first")
    held.kill("start")
    service.do(verb)
    assert state == service.state_now()
    running = [int(pid) for pid in service.status().all("pid")]
    held.release()
    assert eventually(60, lambda: _servers_below(folder) == running)
    assert state == service.state_now()


@pytest.mark.parametrize("verb", ["start", "restart"])
def test_a_start_that_was_killed_does_not_happen_in_the_midst_of_the_next_one(folder: Path, verb: str) -> None:
    """It would run from files that are just written anew."""
    service = redis(folder)
    held, again = Held(service, "first"), Held(service, "second")
    held.kill("start")
    call = again.begin(verb)
    held.release()
    assert eventually(60, lambda: not held.left())
    again.release()
    assert (0, "running") == (call.wait().code, service.state_now())
    assert eventually(60, lambda: _servers_below(folder) == [service.process()])


class Held:
    """A call whose launcher waits at a barrier before it does anything, as on a machine that has too much to do."""

    def __init__(self, service: Service, name: str) -> None:
        self.service, self.place = service, service.folder / name
        self.place.mkdir()
        os.mkfifo(self.place / "barrier")
        script = f"""#!/bin/bash
[[ " $* " == *" become "* ]] || exec /usr/bin/env "$@"
/usr/bin/setsid -f /bin/bash -c 'echo "$$" >"$0/pid"
read -r _ <"$0/barrier"
exec /usr/bin/env "${{@:1:2}}" "${{@:5}}"' {self.place} "$@"
"""
        (self.place / "env").write_text(script)
        (self.place / "env").chmod(0o755)

    def begin(self, verb: str) -> Running:
        """The call, which now waits for its launcher."""
        call = self.service.begin(verb, path=str(self.place))
        assert eventually(60, lambda: (self.place / "pid").exists() and self.left() != [])
        return call

    def kill(self, verb: str) -> None:
        """The same, and then the call is killed, with all of its session."""
        self.begin(verb).kill_after(0)

    def release(self) -> None:
        """The launcher goes on; returns as soon as it does."""
        (self.place / "barrier").write_text("go\n")

    def left(self) -> list[int]:
        """The launcher, as long as it runs or has become the service."""
        pid = int((self.place / "pid").read_text() or 0)
        return [one for one in _servers_below(self.service.folder) if one == pid]


def _servers_below(folder: Path) -> list[int]:
    """Processes that run a program of this prefix, or a launcher that is still becoming one."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = entry.joinpath("cmdline").read_bytes()
        except OSError:
            continue
        ours = str(folder).encode() in command and b"write_log" not in command
        if ours and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def test_a_log_that_is_a_link_is_not_read(folder: Path) -> None:
    """The service's account owns that folder under systemd; root does not show what a link there leads to."""
    log = folder / "prefix/services/web/log"
    log.mkdir(parents=True)
    (folder / "secret").write_text("canary\n")
    (log / "web.log").symlink_to(folder / "secret")
    assert "" == functions(folder, "last_words")
    (log / "web.log").unlink()
    (log / "web.log").write_text("it ended\n")
    assert "it ended" == functions(folder, "last_words").strip()
