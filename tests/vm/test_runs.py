"""Runs of these tests: on machines that cannot do it, beside another run, and after one that was killed."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.vm import needs
from tests.vm.lab import alone, new_lab

KILLED = """
import time
from tests.vm.lab import new_lab
with new_lab(number=9) as lab:
    print(lab.booted("left")._leader(), flush=True)
    time.sleep(600)
"""


def with_checkout() -> dict[str, str]:
    """An environment in which the package tests is found."""
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["unshare", "--pid", "--fork"], "/proc is not that of this PID namespace"),
        (["setpriv", "--bounding-set=-sys_admin"], "Operation not permitted"),
        (["unshare", "--mount", "sh", "-c", 'umount -R /sys/fs/cgroup; exec "$@"', "sh"], "cgroup2 is not mounted"),
    ],
)
def test_what_a_machine_cannot_do_is_said(command: list[str], reason: str) -> None:
    """Where no VM can be booted, the reason is said before anything is run."""
    done = subprocess.run([*command, sys.executable, needs.__file__], capture_output=True, text=True, check=False)
    assert (1, True) == (done.returncode, reason in done.stderr), done.stderr


def test_two_runs_of_one_name_wait_for_each_other() -> None:
    """A run waits for the one that has its names and addresses, wherever that one has its files."""
    asks = "from tests.vm.lab import alone\nwith alone('tlt-test'): print('has it', flush=True)"
    with alone("tlt-test"):
        other = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "sh",
                "-c",
                'mount -t tmpfs none /run && exec "$@"',
                "sh",
                sys.executable,
                "-uc",
                asks,
            ],
            stdout=subprocess.PIPE,
            text=True,
            env=with_checkout(),
        )
        assert other.stdout is not None
        assert other.stdout.readline().startswith("waiting for the run")
    assert "has it\n" == other.stdout.read()
    assert 0 == other.wait()


def test_a_killed_run_is_cleaned_up_by_the_next() -> None:
    """VMs of a run that was killed are off at once, and the next run of that lab begins with nothing."""
    began = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=with_checkout())
    assert began.stdout is not None
    leader = int(began.stdout.readline())
    began.kill()
    began.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{leader}").exists():
        assert time.monotonic() < deadline, "the VM outlives its run"
        time.sleep(0.05)
    with new_lab(number=9) as lab:
        assert [] == [path for path in lab.folder.iterdir() if path.is_dir()]
        assert "systemd" == lab.booted("left").read("/proc/1/comm").strip()
