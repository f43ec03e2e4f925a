"""One pass of the real puller, with reports going to a folder: `python -m tests.fakes.one_pass PREFIX FOLDER`."""

import asyncio
import os
import sys
from pathlib import Path

import msgspec
from msgspec.structs import replace

from desired_state.report import Delivery, Receipt
from puller.logs import configure_logs
from puller.paths import Paths
from puller.reconciling.reconcile import Reconciler
from puller.settings import load_settings
from puller.single_flight import SingleFlight
from puller.wiring import open_parts


class FolderSink:
    """Keeps each report once, by its id. A second arrival of an id is fine, another body under it is not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, delivery: Delivery) -> Receipt:
        for report in delivery.reports:
            body = msgspec.json.encode(report)
            path = self._folder / f"{report.id.removeprefix('sha256:')}.json"
            if path.exists() and path.read_bytes() != body:
                raise AssertionError(f"report {report.id} arrived with two bodies")
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(body)
            temporary.replace(path)
        return Receipt(accepted=tuple(report.id for report in delivery.reports))

    async def close(self) -> None:
        return


async def main(prefix: Path, reports: Path) -> None:
    paths = Paths(prefix)
    with SingleFlight(paths.lock):
        async with open_parts(load_settings(paths, os.environ), paths) as parts:
            await Reconciler(replace(parts, sink=FolderSink(reports))).run_pass("schedule", insist=True)


configure_logs(verbose=False, quiet=False)
asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
