"""What keeps the agent alive: units of systemd, or a line of cron."""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from puller.doctor.case import Case
from puller.doctor.finding import Finding, NotNow, fault, ok, skipped, warning
from puller.paths import Paths

SERVICE, TIMER, HEALING = "towline-puller.service", "towline-self-healing.timer", "towline-self-healing.service"
PROPERTIES = "Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,FragmentPath"
DEADLINE_S = 8.0
CRON_FILE = Path("/etc/cron.d/towline")
RESTARTS = 20
Unit = Mapping[str, str]


def units(case: Case) -> Iterator[Finding]:
    """Units, timer or cron line, whichever `agentctl.sh install` has set up."""
    mode = installed_mode(case.paths)
    if mode == "none":
        yield warning(
            "installed with nobody to look after the agent (keeper: none)", "its own supervisor must restart it"
        )
        return
    if mode == "cron":
        yield _cron(case)
        return
    found = shown_units(is_user=mode == "user")
    service = found.get(SERVICE, {})
    if service.get("LoadState") in (None, "not-found"):
        cron = _cron_text(case)
        if cron:
            yield ok("kept alive by cron")
        elif mode:
            yield fault(f"{SERVICE} is not there, though agentctl.sh installed it", "agentctl.sh install")
        else:
            yield skipped("no unit and no cron line: this agent was not installed by agentctl.sh")
        return
    yield from judged(found)


def judged(found: Mapping[str, Unit]) -> Iterator[Finding]:
    """The units, as systemd shows them."""
    service, timer, healing = found.get(SERVICE, {}), found.get(TIMER, {}), found.get(HEALING, {})
    if service.get("ActiveState") == "active":
        restarts = int(service.get("NRestarts") or 0)
        told = f"{SERVICE} is active ({service.get('SubState')}), restarted {restarts} times"
        yield warning(told, "look at its journal") if restarts >= RESTARTS else ok(told)
    else:
        told = f"{SERVICE} is {service.get('ActiveState')} ({service.get('SubState')}, {service.get('Result')})"
        yield fault(told, f"journalctl -u {SERVICE}; agentctl.sh start")
    if service.get("UnitFileState") not in ("enabled", "enabled-runtime"):
        yield warning(f"{SERVICE} is {service.get('UnitFileState') or 'not enabled'}", f"systemctl enable {SERVICE}")
    if timer.get("ActiveState") != "active":
        told = f"{TIMER} is {timer.get('ActiveState') or 'not there'}: nobody restarts an agent that hangs"
        yield warning(told, f"systemctl enable --now {TIMER}")
    else:
        yield ok(f"{TIMER} is active")
    if healing.get("ActiveState") == "failed":
        yield warning(f"{HEALING} failed ({healing.get('Result')})", f"journalctl -u {HEALING}")


def shown_units(*, is_user: bool) -> dict[str, Unit]:
    """What systemd knows of the three units, asked at once. Raises NotNow where there is no systemd to ask."""
    user = ["--user"] if is_user else []
    told = run(["systemctl", *user, "show", "--no-pager", f"--property={PROPERTIES}", SERVICE, TIMER, HEALING])
    found: dict[str, Unit] = {}
    for block in told.split("\n\n"):
        facts = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in facts:
            found[facts["Id"]] = facts
    return found


def run(command: Sequence[str], *, max_chars: int = 4 << 20) -> str:
    """What a command prints. Raises NotNow when it cannot be run, fails, or takes too long."""
    environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0"}
    environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    try:
        ended = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
            env=environ,
        )
    except FileNotFoundError as error:
        raise NotNow(f"there is no {command[0]} here") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotNow(f"{command[0]}: {error}") from error
    if ended.returncode != 0:
        raise NotNow(f"{' '.join(command[:2])}: {' '.join(ended.stderr.split())[:300]}")
    return ended.stdout[-max_chars:]


def _cron(case: Case) -> Finding:
    if not _cron_text(case):
        return fault("the cron line that keeps the agent alive is not there", "agentctl.sh install")
    running = any(_is_cron(entry) for entry in Path("/proc").glob("[0-9]*/comm"))
    if not running:
        return fault("the cron line is there, and no cron daemon runs", "start cron, and enable it")
    return ok("kept alive by cron, which runs")


def _cron_text(case: Case) -> str:
    """The lines of cron for this prefix."""
    try:
        text = CRON_FILE.read_text(errors="replace")
    except OSError:
        text = ""
    with suppress(NotNow):  # no crontab, or none of this user: then the file has it, or nothing has
        text += "\n" + run(["crontab", "-l"])
    return "\n".join(line for line in text.splitlines() if f"{case.paths.prefix}/agent/" in line and line[:1] != "#")


def _is_cron(comm: Path) -> bool:
    try:
        return comm.read_text().strip() in ("cron", "crond", "busybox-crond")
    except OSError:
        return False


def installed_mode(paths: Paths) -> str:
    """`systemd`, `user`, `cron` or `none`, as agentctl.sh wrote it down; empty where it installed nothing."""
    try:
        lines = (paths.agent / "installed").read_text(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition("=")[2] for line in lines if line.startswith("mode=")), "")
