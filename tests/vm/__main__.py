"""What must be there before the tests begin: says what this machine lacks, and makes the root file systems."""

import sys
import time

from tests.vm.lab import at_once
from tests.vm.needs import NoVirtualMachines, must_be_had
from tests.vm.rootfs import SUITES, NoRootFileSystem, tree


def main() -> int:
    """0 when VMs can be booted here; else the reason is said."""
    try:
        must_be_had()
        began = time.monotonic()
        at_once([lambda suite=suite: tree(suite) for suite in SUITES])  # type: ignore[misc]  # mypy#10740
    except (NoVirtualMachines, NoRootFileSystem) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"root file systems of {', '.join(SUITES)}: there after {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
