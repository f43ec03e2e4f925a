"""What must be there before the tests begin: says what this machine lacks, makes the root file systems, boots a VM.

Arguments are the suites to make; all of them where there is none.
"""

import sys
import time

from tests.vm.console import WentWrong
from tests.vm.lab import at_once, new_lab
from tests.vm.needs import NoVirtualMachines, must_be_had
from tests.vm.rootfs import SUITES, NoRootFileSystem, tree

TRIED = 8
"""The lab of the first VM; pytest's workers count from 0."""


def main() -> int:
    """0 when VMs can be booted here; else the reason is said."""
    try:
        must_be_had()
        began, suites = time.monotonic(), sys.argv[1:] or list(SUITES)
        at_once([lambda suite=suite: tree(suite) for suite in suites])  # type: ignore[misc]  # mypy#10740
        print(f"root file systems of {', '.join(suites)}: there after {time.monotonic() - began:.0f} s", flush=True)
        began = time.monotonic()
        with new_lab(number=TRIED) as lab:
            lab.booted("tried").run("true")
    except (NoVirtualMachines, NoRootFileSystem) as error:
        print(error, file=sys.stderr)
        return 1
    except WentWrong as error:
        print(f"no VM can be booted here, though nothing seemed to be missing: {error}", file=sys.stderr)
        return 1
    print(f"a VM was booted, entered and removed in {time.monotonic() - began:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
