"""A scratch prefix with stand-in releases, and agentctl.sh called on it by hand."""

import io
import os
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

from tests.scripts.calling import SCRIPTS

PULLER = Path(__file__).with_name("stand_in_puller.sh")
CONTROL = SCRIPTS / "agentctl.sh"


def archive(folder: Path, version: str, behaviour: str = "serve") -> Path:
    """An archive of the agent's layout; `behaviour` is what its puller does."""
    files = {
        "release": f"name=towline-agent\nversion={version}\narchitecture=any\nbuilt_with=self-contained\n".encode(),
        "behaviour": f"{behaviour}\n".encode(),
        "bin/towline-puller": PULLER.read_bytes(),
        **{f"ctl/{path.relative_to(SCRIPTS)}": path.read_bytes() for path in _control_files()},
    }
    path = folder / f"towline-agent-{version}-{behaviour}.tar.gz"
    with tarfile.open(path, "w:gz") as packed:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755 if data.startswith(b"#!") else 0o644
            packed.addfile(member, io.BytesIO(data))
    return path


def digest_of(path: Path) -> str:
    """Its sha256, as hex."""
    return sha256(path.read_bytes()).hexdigest()


def _control_files() -> list[Path]:
    return [CONTROL, *sorted((SCRIPTS / "agent").glob("*.sh"))]


CRONTAB = """#!/bin/sh
own="${0%/*}/crontab.text"
[ ! -e "$own.locked" ] || { echo "not allowed" >&2; exit 1; }
case $1 in
  -l) [ -e "$own" ] || { echo "no crontab for somebody" >&2; exit 1; }; exec cat "$own" ;;
  -r) exec rm "$own" ;;
  -) exec cat >"$own" ;;
esac
"""
"""A crontab that is a file beside it."""
OTHERS = "# m h dom mon dow\nMAILTO=\"\"\n0 4 * * *\t/usr/bin/backup --all 'x  y' \\% \n\n\n@reboot  true\n\n"
"""Lines that are not ours."""
CUT = r"""
set -T
cuts=0
cut() {
  case $BASH_COMMAND in
    mv\ *|ln\ *|unlink\ *|sync\ *|kill\ *|rm\ *|rmdir\ *|crontab\ *|printf*\>*|mkdir\ *|exec\ env*) ;;
    *) return 0 ;;
  esac
  cuts=$((cuts + 1))
  [[ $cuts != "$end" ]] || kill -s KILL $$ $BASHPID
}
"""


class Prefix:
    """What agentctl.sh works on, kept by nobody but the test: mode none."""

    def __init__(self, folder: Path, mode: str = "none") -> None:
        self.folder, self.path = folder, folder / "prefix"
        self.agent = self.path / "agent"
        self.environment: dict[str, str] = {}
        self.wrapped: Callable[[Sequence[str | Path]], list[str]] = lambda command: [str(word) for word in command]
        """How its commands are run: elsewhere, where the prefix lies on a disk of its own."""
        self.agent.mkdir(parents=True)
        (self.agent / "installed").write_text(f"mode={mode}\n")

    def lay(self, version: str, behaviour: str = "serve") -> str:
        """Unpacks a release; its id."""
        packed = archive(self.folder, version, behaviour)
        said = self.functions(f"unpack_release '{packed}' {digest_of(packed)}; say \"$REPLY\"")
        return said.stdout.split()[-1]

    def point(self, link: str, release: str) -> None:
        """Switches current or good."""
        (self.agent / link).unlink(missing_ok=True)
        (self.agent / link).symlink_to(f"releases/{release}")

    def installed(self, version: str = "1.0") -> str:
        """One release, current and good; its id."""
        release = self.lay(version)
        self.point("current", release)
        self.point("good", release)
        return release

    def on_trial(self, behaviour: str, *, elapsed: bool = True) -> tuple[str, str]:
        """A good release, and another one on trial; both ids. `elapsed`: its time is up."""
        old, new = self.installed(), self.lay("2.0", behaviour)
        self.point("current", new)
        began = 0 if elapsed else int(float(Path("/proc/uptime").read_text().split()[0]))
        self.write("trial", release=new, **{"from": old}, boot_id=boot_id(), uptime_s=began, timeout_s=300)
        return old, new

    def write(self, name: str, **facts: object) -> None:
        """A file of facts in agent/."""
        path = self.agent / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("".join(f"{key}={value}\n" for key, value in facts.items()))

    def facts(self, name: str) -> dict[str, str]:
        """The facts of such a file."""
        lines = (self.agent / name).read_text().splitlines()
        return {key: value for key, _, value in (line.partition("=") for line in lines)}

    def leads(self, link: str) -> str:
        """The release that a link leads to."""
        return (self.agent / link).readlink().name

    def hand(self, *words: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Calls agentctl.sh by hand."""
        command, *options = words
        return self.run(["bash", str(CONTROL), command, "--prefix", str(self.path), *options], environment)

    def heal(self, *, alone: bool = True) -> list[str]:
        """What one self_healing says; `alone`: after one that a step has set going."""
        if alone and (self.agent / "lock").exists():
            subprocess.run(["flock", "-w", "60", str(self.agent / "lock"), "true"], check=True)
        said = self.hand("self_healing")
        assert (0, "") == (said.returncode, said.stderr)
        return [line.removeprefix("self_healing: ") for line in said.stdout.splitlines()]

    def functions(self, code: str) -> subprocess.CompletedProcess[str]:
        """Runs lines of bash that have all functions of agentctl.sh."""
        said = self._functions(code)
        assert 0 == said.returncode, said.stderr
        return said

    def functions_until_cut(self, number: int, code: str) -> bool:
        """The same, killed before its so many-th command that changes something; whether it came to its end before."""
        said = self._functions(f"{CUT}\nend={number}\ntrap cut DEBUG\n{code}\n")
        assert said.returncode in (0, -signal.SIGKILL), said.stderr
        return said.returncode == 0

    def _functions(self, code: str) -> subprocess.CompletedProcess[str]:
        text = CONTROL.read_text().replace("${here:-./}", f"{SCRIPTS}/")
        script = self.folder / "functions.sh"
        script.write_text(text.replace('\nrun_verb "$@"', f"\nthe_prefix '{self.path}'\ncommand=test\n{code}"))
        return self.run(["bash", str(script)], None)

    def runs(self) -> tuple[int, str] | None:
        """Pid and release of the agent that runs."""
        said = self.functions('known_mode; puller_runs || :; say "$PULLER_PID $PULLER_RELEASE"').stdout.split()
        return (int(said[0]), said[1]) if said else None

    def starts(self) -> list[str]:
        """Every start of an agent so far, by its release."""
        path = self.path / "state" / "starts"
        return path.read_text().split() if path.exists() else []

    def run(self, command: list[str], environment: Mapping[str, str] | None) -> subprocess.CompletedProcess[str]:
        """Any command, with the environment of this prefix and more."""
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), **self.environment, **(environment or {})}
        return subprocess.run(
            self.wrapped(command),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env=environ,
        )


def boot_id() -> str:
    """This boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@contextmanager
def scratch(mode: str = "none") -> Iterator[Prefix]:
    """A prefix of one test; whatever runs out of it at the end is ended."""
    folder = Path(tempfile.mkdtemp(prefix="towline-agent-"))
    try:
        yield Prefix(folder, mode)
    finally:
        end_processes(folder)
        shutil.rmtree(folder)


@contextmanager
def kept_by_cron() -> Iterator[Prefix]:
    """The same in mode cron, with a crontab of its own."""
    with scratch("cron") as made:
        program = made.folder / "crontab"
        program.write_text(CRONTAB)
        program.chmod(0o755)
        made.environment["PATH"] = f"{made.folder}:/usr/bin:/bin"
        yield made


def end_processes(folder: Path) -> None:
    """Processes with this scratch folder in their command line: this test's own."""
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if int(process.name) != os.getpid() and f"{folder}/".encode() in (process / "cmdline").read_bytes():
                os.kill(int(process.name), signal.SIGKILL)


def lives(pid: int) -> bool:
    """Whether that process runs; one that ended and that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except OSError:
        return False
