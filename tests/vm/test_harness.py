"""The VMs do what the other tests believe they do."""

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.vm import faults
from tests.vm.console import WentWrong
from tests.vm.lab import Lab, at_once
from tests.vm.machine import Machine
from tests.vm.network import NAMESPACES
from tests.vm.rootfs import SUITES


@pytest.fixture(scope="module")
def plain(lab: Lab) -> Iterator[Machine]:
    """A VM without systemd, with a line for cron."""
    made = lab.booted("self-plain", init="plain")
    made.write("/etc/cron.d/proof", "* * * * * root touch /srv/proof\n")
    yield made
    lab.remove(made)


@pytest.fixture(scope="module")
def machines(lab: Lab, plain: Machine) -> Iterator[dict[str, Machine]]:
    """A VM of each suite, booted at once; cron's minute runs meanwhile."""
    assert plain.name
    made = {suite: lab.machine(f"self-{suite}", suite, disks={"/opt": 16}) for suite in SUITES}
    at_once([machine.boot for machine in made.values()])
    yield made
    lab.remove(*made.values())


@pytest.fixture(params=sorted(SUITES))
def machine(machines: dict[str, Machine], request: pytest.FixtureRequest) -> Machine:
    """The VM of each suite in turn."""
    return machines[request.param]


@pytest.fixture(scope="module")
def one(machines: dict[str, Machine]) -> Machine:
    """One VM, where the suite does not matter."""
    return machines["bookworm"]


@pytest.fixture
def port(lab: Lab) -> Iterator[int]:
    """A web server on the host's address."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "5")
            self.end_headers()
            self.wfile.write(b"hello")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Nothing to print."""

    with ThreadingHTTPServer((lab.network.host, 0), Hello) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def _get(machine: Machine, port: int) -> str:
    """What the VM gets from that port of the host; nothing where it cannot."""
    ask = r'exec 3<>"/dev/tcp/$0/$1" && printf "GET / HTTP/1.0\r\n\r\n" >&3 && tail -c 5 <&3'
    return machine.run("timeout", "2", "bash", "-c", ask, machine.network.host, str(port), accept=None).out


def test_systemd_is_pid_1(machine: Machine) -> None:
    """PID 1 is systemd, the system is running, and no unit has failed."""
    assert "systemd" == machine.read("/proc/1/comm").strip()
    assert "running" == machine.run("systemctl", "is-system-running").out.strip()


def test_it_is_the_suite_it_says(machine: Machine) -> None:
    """The root file system is the suite's own."""
    assert f"VERSION_CODENAME={machine.suite}" in machine.read("/etc/os-release").splitlines()


def test_input_output_and_status_are_passed_on(machine: Machine) -> None:
    """A command has its standard input, and both outputs and its exit status come back."""
    done = machine.run("sh", "-c", "cat; echo bad >&2; exit 7", text="given", accept=(7,))
    assert (7, "given", "bad\n") == (done.status, done.out, done.err)


def test_a_command_that_fails_is_an_error(one: Machine) -> None:
    """A status that the test did not expect raises, with what was printed."""
    with pytest.raises(WentWrong, match="ended with 3:\nno such thing"):
        one.sh("echo no such thing; exit 3")


def test_units_sandboxes_and_the_watchdog_work(machine: Machine) -> None:
    """Units run in sandboxes that hold, and one whose watchdog gets nothing is started again."""
    run = ("systemd-run", "--quiet", "--wait", "--pipe", "--collect")
    assert 1 == machine.run(*run, "--property=ProtectSystem=strict", "touch", "/etc/x", accept=None).status
    filtered = machine.run(*run, "--property=SystemCallFilter=~mkdir mkdirat", "mkdir", "/tmp/x", accept=None)
    assert (255, False) == (filtered.status, machine.exists("/tmp/x"))
    unit = "[Service]\nType=simple\nExecStart=sleep 1000\nRestart=always\nRestartSec=0\nWatchdogSec=1\n"
    machine.write("/etc/systemd/system/hangs.service", unit)
    machine.sh("systemctl daemon-reload; systemctl start hangs")
    machine.until(
        "the watchdog",
        lambda: "0" != machine.run("systemctl", "show", "--property=NRestarts", "--value", "hangs").out.strip(),
    )
    machine.run("systemctl", "stop", "hangs")


def test_the_vm_reaches_the_host(machine: Machine, port: int) -> None:
    """Outbound connections work."""
    assert "hello" == _get(machine, port)


def test_nobody_reaches_the_vm(machine: Machine) -> None:
    """A connection from the host to a server in the VM is dropped, and counted."""
    before = machine.network.dropped(machine.name)
    with pytest.raises(TimeoutError), socket.create_connection((machine.address, 22), timeout=0.5):
        pass
    assert before < machine.network.dropped(machine.name)


def test_only_the_proxy_can_be_reached(lab: Lab, one: Machine, port: int) -> None:
    """A VM whose way out is one port of the host reaches no other."""
    lab.network.change(one.name, only_to=port)
    assert "hello" == _get(one, port)
    lab.network.change(one.name, only_to=port + 1)
    assert "" == _get(one, port)
    lab.network.change(one.name, only_to=0)
    assert "hello" == _get(one, port)


@pytest.mark.parametrize("cut", ["link", "drop", "refuse"])
def test_a_partition_heals(lab: Lab, machines: dict[str, Machine], port: int, cut: str) -> None:
    """A partitioned VM reaches nobody, the others do, and it does again when the partition ends."""
    machine = machines["trixie"]
    lab.network.change(machine.name, cut=cut)
    assert ("", "hello") == (_get(machine, port), _get(machines["bullseye"], port))
    lab.network.change(machine.name, cut="")
    machine.until("healed", lambda: _get(machine, port) == "hello")


def test_listening_sockets_are_seen(one: Machine) -> None:
    """A server of the VM's network is listed, one on loopback is not, and a fresh VM has none."""
    assert [] == one.listening()
    serve = "import socket,time; s=[socket.create_server((a, 7)) for a in ('', '127.0.0.2')]; time.sleep(1000)"
    one.run("systemd-run", "--unit=serves", "python3", "-c", serve.replace("(a, 7)", "(a, 7000 + len(a))"))
    one.until("it listens", lambda: [("0.0.0.0", 7000, "python3")] == one.listening())  # noqa: S104 - what is seen
    one.run("systemctl", "stop", "serves")


def test_a_reboot_is_another_boot(machine: Machine, port: int) -> None:
    """After a reboot the boot id is another one, files are there, and the network works."""
    machine.write("/srv/kept", "data")
    before = machine.boot_id()
    machine.reboot()
    assert before != machine.boot_id()
    assert "data" == machine.read("/srv/kept")
    assert "hello" == _get(machine, port)


def test_a_crash_keeps_what_was_written(machine: Machine) -> None:
    """A killed VM is off; the next boot has its files and its other file systems."""
    machine.write("/opt/kept", "data")
    machine.kill()
    with pytest.raises(WentWrong, match="is off"):
        machine.run("true")
    machine.boot()
    assert "data" == machine.read("/opt/kept")


@pytest.mark.parametrize("folder", ["/srv", "/opt"])
def test_a_power_loss_loses_what_was_not_synced(machine: Machine, folder: str) -> None:
    """After a power loss a synced file is there and an unsynced one is empty or gone."""
    machine.sh('echo precious >"$1/synced" && sync "$1/synced" && echo precious >"$1/unsynced"', folder)
    machine.lose_power()
    machine.boot()
    assert "precious\n" == machine.read(f"{folder}/synced")
    assert "" == machine.sh('cat "$1/unsynced"', folder, accept=None).out


@pytest.mark.parametrize("path", ["/opt", "/"])
def test_a_full_disk_is_full_until_it_is_freed(one: Machine, path: str) -> None:
    """Writing fails on a filled file system, and works when the space is back."""
    write = 'head -c 100000 /dev/zero >"$1/zeros"'
    one.sh(write, path)
    one.sh('rm "$1/zeros"', path)
    assert faults.fill(one, path) < 65536
    assert "No space left" in one.sh(write, path, accept=(1,)).err
    faults.free(one, path)
    one.sh(write + '; rm "$1/zeros"', path)


def test_a_file_system_is_read_only_until_it_is_not(one: Machine) -> None:
    """Writing fails on a file system that was remounted, and works afterwards."""
    faults.read_only(one, "/opt", on=True)
    assert "Read-only" in one.sh("touch /opt/x", accept=(1,)).err
    faults.read_only(one, "/opt", on=False)
    one.sh("touch /opt/x")


def test_a_broken_disk_is_read_only_until_the_next_boot(one: Machine) -> None:
    """An error of the VM's own disk makes all of it read-only; the next boot repairs it."""
    faults.break_disk(one)
    assert "Read-only" in one.sh("touch /var/x", accept=(1,)).err
    one.kill()
    one.boot()
    one.sh("touch /var/x")


def test_the_clock_can_be_wrong(lab: Lab, machine: Machine) -> None:
    """Programs of the VM see another day and the right monotonic time; later the right day again."""
    for days in (2, -2, 0):
        faults.shift_clock(machine, days * 86400, library=lab.clock_library())
        ahead = int(machine.run("date", "+%s").out) - time.time()
        assert abs(ahead - days * 86400) < 60
        assert "running" == machine.run("systemctl", "is-system-running").out.strip()


def test_a_vm_without_systemd_has_cron(plain: Machine) -> None:
    """With a plain init there is no systemd, and cron runs its lines."""
    assert not plain.exists("/run/systemd/system")
    plain.until("cron has run it", lambda: plain.exists("/srv/proof"))


def test_nothing_stays_behind(lab: Lab) -> None:
    """A removed VM has left no namespace, no folder, no process and no loop device."""
    machine = lab.booted("self-gone")
    folder, namespace = machine.folder, NAMESPACES / lab.network.namespace(machine.name)
    assert (True, True) == (folder.exists(), namespace.exists())
    lab.remove(machine)
    assert (False, False) == (folder.exists(), namespace.exists())
    loops = Path("/sys/block").glob("loop*/loop/backing_file")
    assert [] == [loop for loop in loops if str(folder) in loop.read_text()]
