"""Who keeps a service, and the unit that systemd gets. Units were run on real systemd by hand; here is their text."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.scripts.calling import SCRIPTS, Service, eventually
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


def test_a_unit_of_an_adopted_process_has_no_new_limits(folder: Path) -> None:
    """It runs as it did: the launcher gives it its own account."""
    code = 'keeper() { REPLY=root; }\nmake_account() { REPLY=towline-web; }\nunit_text "$run/adopted"'
    unit = functions(folder, code)
    assert "User=" not in unit
    assert "NoNewPrivileges" not in unit
    assert "AmbientCapabilities" not in unit


def test_two_starts_at_once_start_one(folder: Path) -> None:
    """The launchers agree by a lock: the second one finds the first one's identity and ends."""
    case = case_of("redis")
    service = Service(
        kind="redis",
        name="one",
        folder=folder,
        version=case.version,
        packages=case.packages(),
        parameters=case.parameters(free_port()),
    )
    service.do("install", "configure", "start", "stop")
    launcher = [str(service.root / part) for part in ("run/launcher.sh", "run/launch")]
    command = ["setsid", "-f", "bash", launcher[0], "become", "plain", str(service.root), launcher[1]]
    for _ in range(5):
        subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    assert eventually(20, lambda: service.state_now() == "running")
    assert eventually(60, lambda: _servers_below(folder) == [service.process()])
    service.do("stop")


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
