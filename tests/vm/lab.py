"""A lab: one network and the VMs on it. What a run that was killed has left behind is cleaned up by the next one."""

import errno
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeVar

from tests.vm import groups, needs
from tests.vm.faults import build_library
from tests.vm.machine import Machine
from tests.vm.network import Link, Network
from tests.vm.rootfs import cache_folder

FIRST_INDEX = 11
T = TypeVar("T")


class Lab:
    """Makes machines; see `new_lab`."""

    def __init__(self, folder: Path, network: Network) -> None:
        self.folder, self.network = folder, network
        self.machines: dict[str, Machine] = {}
        self._next = FIRST_INDEX

    def machine(
        self,
        name: str,
        suite: str = "bookworm",
        *,
        init: Literal["systemd", "plain"] = "systemd",
        disks: Mapping[str, int] | None = None,
        only_to: int = 0,
    ) -> Machine:
        """A VM that is off. `init` plain: no systemd, but cron; `only_to`: the one port of the host it may reach."""
        link = Link(index=self._next, only_to=only_to)
        self._next += 1
        folder = self.folder / name
        made = Machine(name, suite, network=self.network, folder=folder, link=link, init=init, disks=disks)
        self.machines[name] = made
        return made

    def booted(self, name: str, suite: str = "bookworm", **how: object) -> Machine:
        """The same, switched on."""
        made = self.machine(name, suite, **how)  # type: ignore[arg-type]  # passed on as they are
        made.boot()
        return made

    def remove(self, *machines: Machine) -> None:
        """Takes machines away."""
        at_once([machine.remove for machine in machines])
        for machine in machines:
            del self.machines[machine.name]

    def clock_library(self) -> Path:
        """What `faults.shift_clock` needs."""
        return build_library(self.folder, "clockshift")

    def open_files_library(self) -> Path:
        """What `faults.pretend_open_files` needs."""
        return build_library(self.folder, "openfiles")

    def close(self) -> None:
        """Takes everything away."""
        self.remove(*self.machines.values())
        self.network.down()
        groups.remove_all(f"{self.network.tag}-vm")
        shutil.rmtree(self.folder)


def at_once(calls: list[Callable[[], T]]) -> list[T]:
    """Makes these calls in threads of their own; their results in order. The first error is raised when all ended."""
    with ThreadPoolExecutor(max_workers=max(1, len(calls))) as pool:
        return [future.result() for future in [pool.submit(call) for call in calls]]


@contextmanager
def new_lab(*, number: int = 0) -> Iterator[Lab]:
    """The lab of that number: one run at a time has it, two numbers never meet."""
    needs.must_be_had()
    tag = f"{os.environ.get('TOWLINE_TEST_VM_TAG', 'tlt')}{number}"
    net = f"{os.environ.get('TOWLINE_TEST_VM_NET', '10.234')}.{number}"
    folder = cache_folder() / "machines" / tag
    folder.parent.mkdir(parents=True, exist_ok=True)
    with alone(tag):
        network = Network(tag=tag, net=net)
        sweep(folder, network)
        folder.mkdir()
        network.up()
        lab = Lab(folder, network)
        try:
            yield lab
        finally:
            lab.close()


@contextmanager
def alone(tag: str) -> Iterator[None]:
    """Waits for a run of the same tag to end, and keeps others from beginning.

    The lock is an abstract socket, which belongs to the network namespace as the links and addresses of a lab do: a
    lock file in a chroot is another one than the host's, and the one run would sweep away the machines of the other.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as held:
        said = False
        while True:
            try:
                held.bind(f"\0towline-vm-{tag}")
                break
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
            if not said:
                print(f"waiting for the run that has the machines of {tag}; another TOWLINE_TEST_VM_TAG need not wait")
                said = True
            time.sleep(0.5)
        yield


def sweep(folder: Path, network: Network) -> None:
    """Ends and removes what a lab of this tag has left, and nothing of another tag."""
    groups.remove_all(f"{network.tag}-vm")
    network.down()
    shutil.rmtree(folder, ignore_errors=True)
