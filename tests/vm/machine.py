"""One VM: booted, rebooted, killed, cut off its power."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from tests.vm.console import Console, WentWrong
from tests.vm.groups import Groups
from tests.vm.image import ext4_shutdown, make_ext4
from tests.vm.network import Link, Network, run
from tests.vm.rootfs import tree
from tests.vm.waiting import PATIENCE_S

DISK_MIB = 4096
_OFF = 125
_ENVIRONMENT = (
    "HOME=/root",
    "USER=root",
    "LOGNAME=root",
    "SHELL=/bin/bash",
    "LANG=C.UTF-8",
    "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)
# Without systemd: cron, and what a container's entry point does.
_PLAIN_INIT = "mkdir -p /run/lock /var/run; cron; exec sleep infinity"


class Machine(Console):
    """A root file system of a suite under a disk of its own; see `Lab.machine`."""

    def __init__(
        self,
        name: str,
        suite: str,
        *,
        network: Network,
        folder: Path,
        link: Link,
        init: Literal["systemd", "plain"] = "systemd",
        disks: Mapping[str, int] | None = None,
    ) -> None:
        """`disks`: further file systems by where they are mounted, and their sizes in MiB. Nothing is made yet."""
        self.name, self.suite, self.init = name, suite, init
        self.network, self.link, self.folder = network, link, folder
        self.disks = {path: f"disk{number}.img" for number, path in enumerate(disks or {}, 1)}
        self._sizes = {self.disks[path]: size for path, size in (disks or {}).items()}
        self._watch: subprocess.Popen[bytes] | None = None
        self._groups = Groups(f"{network.tag}-vm", name)

    @property
    def address(self) -> str:
        """Its address, which nobody outside can connect to."""
        return self.network.address(self.name)

    # ---- power

    def boot(self) -> None:
        """Switches it on, with new disks at the first time; returns when it is up."""
        if not self.folder.exists():
            (self.folder / "store").mkdir(parents=True)
            (self.folder / "root").mkdir()
            for image, size in {"disk.img": DISK_MIB, **self._sizes}.items():
                make_ext4(self.folder / image, size)
            self.network.connect(self.name, self.link)
        with (self.folder / "console.log").open("ab") as console:
            # Our end of the pipe tells the watch that we live. It is not pytest's, and not of a group that gets Ctrl-C.
            self._watch = subprocess.Popen(
                [
                    "unshare",
                    "--mount",
                    "--propagation",
                    "private",
                    sys.executable,
                    "-I",
                    str(_WATCH),
                    json.dumps(self._told()),
                ],
                stdin=subprocess.PIPE,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        self._wait_up(old="")

    def reboot(self) -> None:
        """An orderly reboot, waited for."""
        old = self.boot_id()
        self.run("systemctl", "reboot", accept=(0, 1, -9, 137, 255))
        self._wait_up(old=old)

    def halt(self) -> None:
        """An orderly shutdown, as by the power button."""
        os.kill(self._supervisor(), signal.SIGTERM)
        self._wait_off()

    def kill(self) -> None:
        """A crash: every process is gone at once. The disks stay as the kernel last had them."""
        os.kill(self._leader(), signal.SIGKILL)
        self._wait_off()

    def lose_power(self) -> None:
        """Like `kill`, and what was not synced to the disks is lost too."""
        leader = self._leader()
        # No process may see the disk's last moments.
        self._groups.freeze(on=True)
        for place in ("store", *(f"root{path}" for path in self.disks)):
            ext4_shutdown(self.seen(place))
        os.kill(leader, signal.SIGKILL)
        self._groups.freeze(on=False)
        self._wait_off()

    def remove(self) -> None:
        """Takes it away with its disks. One that is off, or was never on, is fine."""
        if self._watch is not None and self._watch.poll() is None:
            assert self._watch.stdin is not None
            self._watch.stdin.close()
            self._watch.wait(PATIENCE_S)
        self._groups.remove()
        if self.folder.exists():
            run("ip", "netns", "del", self.network.namespace(self.name))
            self.network.links.pop(self.name, None)
            self.network.apply()
            shutil.rmtree(self.folder)

    def is_on(self) -> bool:
        """Whether it has power."""
        return self._watch is not None and self._watch.poll() is None

    def boot_id(self) -> str:
        """Of this boot."""
        return self.run("cat", "/proc/sys/kernel/random/boot_id").out.strip()

    def seen(self, place: str) -> Path:
        """A path below the machine's folder, as its watch sees it: with the disks mounted."""
        assert self._watch is not None
        return Path(f"/proc/{self._watch.pid}/root{self.folder}") / place

    # ---- how

    def _told(self) -> dict[str, object]:
        """What the watch needs to know."""
        machine, namespace = f"{self.network.tag}-{self.name}", self.network.namespace(self.name)
        kind = ["--boot"] if self.init == "systemd" else ["--as-pid2", "--", "sh", "-c", _PLAIN_INIT]
        nspawn = [
            # This machine may have no systemd to ask: no registration, no scope.
            *("systemd-nspawn", "--quiet", "--settings=no", "--keep-unit", "--register=no"),
            *(f"--directory={self.folder}/root", f"--machine={machine}", f"--hostname={self.name}"),
            f"--network-namespace-path=/run/netns/{namespace}",
            # bpf: or IPAddressDeny= of a unit does nothing. Neither clock nor modules of the host can be changed.
            *("--capability=CAP_NET_ADMIN,CAP_NET_RAW,CAP_BPF,CAP_PERFMON", "--system-call-filter=bpf"),
            *("--resolv-conf=off", "--timezone=off", "--link-journal=no", "--console=read-only"),
            *kind,
        ]
        hosts = f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n{self.network.host} towline.test\n"
        machine_id = Path("/proc/sys/kernel/random/uuid").read_text().replace("-", "")
        return {
            "folder": str(self.folder),
            "machine": machine,
            "namespace": namespace,
            "tree": str(tree(self.suite)),
            "groups": [str(group) for group in self._groups.made()],
            "disks": {image: path for path, image in self.disks.items()},
            "files": {"etc/machine-id": machine_id, "etc/hostname": f"{self.name}\n", "etc/hosts": hosts},
            "nspawn": nspawn,
        }

    def entering(self, command: tuple[str, ...]) -> list[str]:
        """As root, with a clean environment."""
        leader = self._leader()
        # Counted with the VM's other processes, beside the tree that its systemd owns.
        join = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"'
        enter = (
            "nsenter",
            f"--target={leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--root",
            "--wd",
        )
        inside = ("env", "-i", *_ENVIRONMENT, "/bin/sh", "-c", 'cd /root && exec "$@"', "sh", *command)
        return ["sh", "-c", join, "sh", str(self._groups.commands()), *enter, *inside]

    def _supervisor(self) -> int:
        """The pid of its nspawn."""
        try:
            pid = int((self.folder / "supervisor.pid").read_text())
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError) as error:
            raise WentWrong(f"{self.name} is off") from error
        # Process ids are used again.
        if f"--machine={self.network.tag}-{self.name}".encode() not in arguments:
            raise WentWrong(f"{self.name} is off")
        return pid

    def _leader(self) -> int:
        """The VM's PID 1, as a process id of the host: the child of nspawn with a PID namespace of its own."""
        supervisor = self._supervisor()
        outside = os.readlink(f"/proc/{supervisor}/ns/pid")
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                if parent == supervisor and os.readlink(entry / "ns/pid") != outside:
                    return int(entry.name)
            except OSError:  # it has just ended
                continue
        raise WentWrong(f"{self.name} is off")

    def _wait_up(self, *, old: str) -> None:
        """Until it has finished starting, in a boot that is not `old`."""
        deadline = time.monotonic() + PATIENCE_S
        while not self._is_up(old):
            if not self.is_on() or time.monotonic() > deadline:
                raise WentWrong(f"{self.name} did not come up; its console:\n{self.console()}")
            time.sleep(0.05)

    def _is_up(self, old: str) -> bool:
        look = "cat /proc/sys/kernel/random/boot_id; systemctl is-system-running"
        if self.init == "plain":
            look = "cat /proc/sys/kernel/random/boot_id; pgrep -x cron >/dev/null && echo running"
        try:
            said = self.run("sh", "-c", look, accept=None, timeout_s=20).out.split()
        except (WentWrong, subprocess.TimeoutExpired):  # one that entered a VM that is going down may hang
            return False
        return len(said) == 2 and said[0] != old and said[1] in ("running", "degraded", "maintenance")

    def _wait_off(self) -> None:
        assert self._watch is not None
        self._watch.wait(PATIENCE_S)

    def console(self) -> str:
        """The end of what nspawn and systemd printed."""
        return (self.folder / "console.log").read_text("utf-8", "replace")[-3000:]


_WATCH = Path(__file__).with_name("watch.py")
