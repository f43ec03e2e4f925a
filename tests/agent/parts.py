"""Calling functions of scripts/agent as agentctl.sh has them: in bash, with a prefix of the test's."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from msgspec import Struct

SCRIPTS = Path(__file__).parents[2] / "scripts"
AGENTCTL = SCRIPTS / "agentctl.sh"
PARTS = ("say", "file", "release", "unit", "cron", "alive", "trial", "token", "judge", "web", "fetch", "install")
TIMEOUT_S = 120
PROXY_VARIABLES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


class Told(Struct, frozen=True, kw_only=True):
    """How a call ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Everything that a person saw."""
        return self.out + self.err


def environment(folder: Path, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """That of a fresh login: no proxies, a home of its own, a temporary folder that the test can look into."""
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    made = {"PATH": os.environ["PATH"], "HOME": str(folder), "TMPDIR": str(folder / "tmp"), "LANG": "C.UTF-8"}
    return made | dict(more or {})


def call(folder: Path, code: str, *, stdin: bytes = b"", more: Mapping[str, str] | None = None) -> Told:
    """Runs bash code after the parts were sourced, with `folder`/prefix as the prefix."""
    lines = ["set -Eeuo pipefail", "umask 077", "declare -A OPTIONS=()", "declare -a FROM=() ENROL_OPTIONS=()"]
    lines += [f'. "{SCRIPTS}/agent/{part}.sh"' for part in PARTS]
    lines += [f"the_prefix '{folder}/prefix'", code]
    driver = folder / "driver.sh"
    driver.write_text("\n".join(lines) + "\n")
    return run(["bash", str(driver)], folder, stdin=stdin, more=more)


def run(command: Sequence[str], folder: Path, *, stdin: bytes = b"", more: Mapping[str, str] | None = None) -> Told:
    """Runs a command to its end."""
    done = subprocess.run(
        command, input=stdin, capture_output=True, env=environment(folder, more), timeout=TIMEOUT_S, check=False
    )
    return Told(
        code=done.returncode, out=done.stdout.decode(errors="replace"), err=done.stderr.decode(errors="replace")
    )


def path_without(folder: Path, *hidden: str) -> str:
    """A PATH with every command of this machine but those."""
    made = folder / ("without-" + "-".join(hidden))
    made.mkdir(parents=True, exist_ok=True)
    for place in ("/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        for command in Path(place).iterdir():
            if command.name not in hidden and not (made / command.name).is_symlink():
                (made / command.name).symlink_to(command)
    return str(made)
