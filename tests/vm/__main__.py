"""What must be there before the tests begin: says what this machine lacks, makes the root file systems, tries a VM.

Arguments are the suites to make; all of them where there is none. Where VMs cannot be had the reason is also written to
the file that `TOWLINE_TEST_NO_VMS` names: whoever called can tell that from tests that fail.
"""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from tests.vm.console import WentWrong
from tests.vm.lab import Lab, at_once, new_lab
from tests.vm.needs import NoVirtualMachines, must_be_had
from tests.vm.rootfs import SUITES, NoRootFileSystem, tree

TRIED = 8
"""The lab of the first VM; pytest's workers count from 0."""
_CONNECT = "exec 3<>/dev/tcp/$1/$2"


def main() -> int:
    """0 when VMs can be booted here; else the reason is said."""
    try:
        must_be_had()
        began, suites = time.monotonic(), sys.argv[1:] or list(SUITES)
        at_once([lambda suite=suite: tree(suite) for suite in suites])  # type: ignore[misc]  # mypy#10740
        print(f"root file systems of {', '.join(suites)}: there after {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        with new_lab(number=TRIED) as lab:
            _try(lab, suites[0] if len(suites) == 1 else "bookworm")
    except (NoVirtualMachines, NoRootFileSystem) as error:
        return _cannot(str(error))
    except (WentWrong, RuntimeError, OSError, subprocess.SubprocessError) as error:
        return _cannot(f"no VM can be had here, though nothing seemed to be missing: {error}")
    print(f"a VM was booted thrice, entered, heard and removed in {time.monotonic() - began:.1f} s")
    return 0


def _try(lab: Lab, suite: str) -> None:
    """What each test needs: a VM that boots, reaches this machine, boots again, and again after a power loss."""
    machine = lab.booted("tried", suite)
    with socket.create_server((lab.network.host, 0)) as listening:
        # A firewall of this machine may be between them.
        machine.sh(_CONNECT, lab.network.host, str(listening.getsockname()[1]), timeout_s=60)
    machine.reboot()
    machine.lose_power()
    machine.boot()
    machine.run("true")


def _cannot(reason: str) -> int:
    print(reason, file=sys.stderr)
    noted = os.environ.get("TOWLINE_TEST_NO_VMS")
    if noted:
        Path(noted).write_text(f"{reason}\n", "utf-8")
    return 1


if __name__ == "__main__":
    sys.exit(main())
