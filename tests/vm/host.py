"""A VM as a host of the fleet: the command is pasted into it, and its agent is asked."""

import subprocess
from collections.abc import Mapping

from tests.vm.console import Done
from tests.vm.lab import Lab
from tests.vm.machine import Machine
from tests.vm.site import Site
from tests.vm.waiting import PATIENCE_S

PREFIX = "/opt/towline"
UNIT = "towline-puller.service"
INSTALL_LIMIT_S = 600

_PIDS = r"""
cd "$1/services" 2>/dev/null || exit 0
for file in */run/identity; do
  [ -r "$file" ] || continue
  pid=$(sed -n 's/^pid=//p' "$file")
  start=$(sed -n 's/^start_time=//p' "$file")
  [ "$(cut -d' ' -f22 "/proc/$pid/stat" 2>/dev/null)" = "$start" ] && echo "${file%%/*}=$pid.$start"
done
exit 0
"""


class Host:
    """A machine that trusts the site's authority and is declared in its catalogue."""

    def __init__(self, lab: Lab, site: Site, machine: Machine) -> None:
        self.lab, self.site, self.machine = lab, site, machine
        self.name = machine.name
        self.prefix = PREFIX

    def invited(self, *options: str) -> str:
        """The command to paste."""
        return self.site.invite(self.name, *options)

    def paste(
        self, pasted: str = "", *, environment: Mapping[str, str] | None = None, accept: tuple[int, ...] | None = (0,)
    ) -> Done:
        """Pastes the command into a root shell; a new one unless it is given."""
        return self.machine.run(
            *_shell(environment), text=pasted or self.invited(), accept=accept, timeout_s=INSTALL_LIMIT_S
        )

    def begin_paste(self, pasted: str = "") -> "subprocess.Popen[bytes]":
        """The same, and returns at once."""
        return self.machine.start(*_shell(None), text=pasted or self.invited())

    def ctl(
        self, *arguments: str, accept: tuple[int, ...] | None = (0,), text: str = "", timeout_s: float = INSTALL_LIMIT_S
    ) -> Done:
        """`agentctl.sh` of the release that runs."""
        script = f"{self.prefix}/agent/current/ctl/agentctl.sh"
        return self.machine.run(
            "bash", script, *arguments, "--prefix", self.prefix, accept=accept, text=text, timeout_s=timeout_s
        )

    def typed(self, text: str, *arguments: str, accept: tuple[int, ...] | None = (0,)) -> Done:
        """`agentctl.sh` at a terminal, where somebody types this text when asked."""
        script = f"{self.prefix}/agent/current/ctl/agentctl.sh"
        line = " ".join(("bash", script, *arguments, "--prefix", self.prefix))
        return self.machine.run(
            "script", "-qefc", line, "/dev/null", text=text, accept=accept, timeout_s=INSTALL_LIMIT_S
        )

    def puller(self, *arguments: str, accept: tuple[int, ...] | None = (0,)) -> Done:
        """`towline-puller` of the release that runs."""
        program = f"{self.prefix}/agent/current/bin/towline-puller"
        return self.machine.run(program, "--prefix", self.prefix, *arguments, accept=accept)

    def alive(self) -> dict[str, str]:
        """What `towline-puller alive` says."""
        said = self.puller("alive", accept=(0, 1, 3)).out
        return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)

    def serves(self) -> bool:
        """Whether the agent serves."""
        return self.alive().get("state") == "serving"

    def release(self) -> str:
        """The release that is current."""
        return self.machine.run("readlink", f"{self.prefix}/agent/current").out.strip().removeprefix("releases/")

    def heal_often(self) -> None:
        """self_healing looks every five or ten seconds, not every minute: what an operator may add."""
        if self.machine.init == "systemd":
            folder = "/etc/systemd/system/towline-self-healing.timer.d"
            self.machine.run("mkdir", "-p", folder)
            self.machine.write(f"{folder}/often.conf", "[Timer]\nOnUnitActiveSec=5\nAccuracySec=1\n")
            self.machine.sh("systemctl daemon-reload; systemctl restart towline-self-healing.timer")
        else:
            look = f"bash {self.prefix}/agent/good/ctl/agentctl.sh self_healing --prefix {self.prefix}"
            lines = (f"* * * * * root sleep {wait}; {look}\n" for wait in range(10, 60, 10))
            self.machine.write("/etc/cron.d/often", "".join(lines))

    def services(self) -> dict[str, str]:
        """Pid and start time of each service's process, if it lives."""
        said = self.machine.run("sh", "-c", _PIDS, "sh", self.prefix).out
        return dict(line.split("=", 1) for line in said.splitlines())

    def declare(self, more: str = "", **services: str) -> None:
        """Declares this host, and these services."""
        self.site.declare({self.name: more}, **services)

    def until_converged(self, *, limit_s: float = PATIENCE_S) -> None:
        """Waits until it has reached its newest document."""
        self.site.until_converged(self.name, limit_s=limit_s)


def _shell(environment: Mapping[str, str] | None) -> tuple[str, ...]:
    return ("env", *(f"{name}={value}" for name, value in (environment or {}).items()), "bash")
