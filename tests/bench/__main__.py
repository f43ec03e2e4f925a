"""Run the measurements: python -m tests.bench [--json] [NAME...]"""

import argparse
import importlib
import sys
import time

from tests.bench.measurement import Measurement, table

NAMES = ("planning", "publishing", "publish_job", "ingest", "polling", "agent", "starting", "scripts")


def main() -> int:
    """Measure what was asked for, everything by default, telling on standard error how far it is."""
    parser = argparse.ArgumentParser(prog="nox -s bench --", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead of a table")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of: {' '.join(NAMES)}")
    options = parser.parse_args()
    unknown = set(options.names) - set(NAMES)
    if unknown:
        parser.error(f"there is no measurement {', '.join(sorted(unknown))}")
    measured: list[Measurement] = []
    for name in options.names or NAMES:
        began = time.monotonic()
        print(f"measuring {name} ...", file=sys.stderr, flush=True)
        for one in importlib.import_module(f"tests.bench.{name}").measure():
            measured.append(one)
            if options.json:
                print(one.as_json(), flush=True)
        print(f"  {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
    if not options.json:
        print(table(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
