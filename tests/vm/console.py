"""Commands in a VM, as on its serial console: no network is used, so they work in a partition, too."""

import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from msgspec import Struct

from tests.vm.waiting import PATIENCE_S


class WentWrong(AssertionError):
    """A command in a VM, or the VM itself, did something else than the test says."""


class Done(Struct, frozen=True, kw_only=True):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both outputs."""
        return self.out + self.err


class Console:
    """What a VM can be told; `Machine` knows how to enter one."""

    name: str
    init: Literal["systemd", "plain"]

    def entering(self, command: tuple[str, ...]) -> list[str]:
        """The command line on this machine that runs a command in the VM. Raises WentWrong when it is off."""
        raise NotImplementedError

    def console(self) -> str:
        """The end of what it printed."""
        raise NotImplementedError

    def run(
        self,
        *command: str,
        text: str | bytes = "",
        accept: tuple[int, ...] | None = (0,),
        timeout_s: float = PATIENCE_S,
    ) -> Done:
        """Runs a command as root, with a clean environment; its end must be one of `accept` (None: any).

        Like a serial console it uses no network. Returns when the command ends, also where something it started goes
        on and holds its outputs.
        """
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
            given.write(text.encode() if isinstance(text, str) else text)
            given.seek(0)
            inside = ("timeout", "--kill-after=5", str(timeout_s), *command)
            process = subprocess.Popen(self.entering(inside), stdin=given, stdout=out, stderr=err)
            try:
                status = process.wait(timeout_s + 15)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
            said = []
            for stream in (out, err):
                stream.seek(0)
                said.append(stream.read().decode("utf-8", "replace"))
        done = Done(status=status, out=said[0], err=said[1])
        if accept is not None and status not in accept:
            if done.err.startswith("nsenter: cannot open /proc/"):
                raise WentWrong(f"{self.name} went off before {command[0]} ran in it; its console:\n{self.console()}")
            raise WentWrong(f"{self.name}: {' '.join(command)[:200]} ended with {status}:\n{done.all[-4000:]}")
        return done

    def sh(
        self, script: str, *arguments: str, accept: tuple[int, ...] | None = (0,), timeout_s: float = PATIENCE_S
    ) -> Done:
        """Runs a few lines of bash."""
        return self.run("bash", "-c", script, "bash", *arguments, accept=accept, timeout_s=timeout_s)

    def start(self, *command: str, text: str = "") -> "subprocess.Popen[bytes]":
        """Starts a command and returns at once; its outputs come through one pipe, as through ssh."""
        process = subprocess.Popen(
            self.entering(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        process.stdin = None
        return process

    def write(self, path: str, data: str | bytes, *, mode: int = 0o644) -> None:
        """Writes a file of the VM."""
        script = 'umask 077; cat >"$1.part" && chmod "$2" "$1.part" && mv -fT "$1.part" "$1"'
        self.run("sh", "-c", script, "sh", path, f"{mode:o}", text=data)

    def read(self, path: str) -> str:
        """A file of the VM."""
        return self.run("cat", path).out

    def exists(self, path: str) -> bool:
        """Whether there is something, a dangling link included."""
        return self.sh("[[ -e $1 || -L $1 ]]", path, accept=(0, 1)).status == 0

    def copy(self, source: Path, path: str) -> None:
        """A file of the host into the VM."""
        self.write(path, source.read_bytes(), mode=source.stat().st_mode & 0o777)

    def until(
        self, what: str, check: Callable[[], object], *, limit_s: float = PATIENCE_S, every_s: float = 0.2
    ) -> float:
        """Waits until the check is true; how many seconds that took. A failed command counts as not yet."""
        began, last = time.monotonic(), ""
        while True:
            try:
                if check():
                    return time.monotonic() - began
                last = ""
            except WentWrong as error:
                last = f": {error}"
            if time.monotonic() - began > limit_s:
                raise WentWrong(f"{self.name}: {what}: not within {limit_s:.0f} s{last}")
            time.sleep(every_s)

    def journal(self, unit: str) -> str:
        """What the unit said, in all boots."""
        return self.run("journalctl", "--no-pager", "--output=cat", f"--unit={unit}").out

    def listening(self) -> list[tuple[str, int, str]]:
        """What listens on its network: address, port and program; loopback is left out."""
        found = []
        for line in self.run("ss", "-Hltunp").out.splitlines():
            fields = line.split()
            address, _, port = fields[4].rpartition(":")
            if not address.startswith(("127.", "[::1]", "[::ffff:127.")):
                found.append((address, int(port), fields[6].split('"')[1] if len(fields) > 6 else ""))
        return sorted(found)
