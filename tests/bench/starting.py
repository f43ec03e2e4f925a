"""From nothing to the first answered poll, beside the same server with an application of three lines."""

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.bench.measurement import Aim, Measurement
from tests.bench.served import Poll, backend_process, seed
from tests.servers.process import free_port

TIMES = 7
_BARE = """\
import asyncio, sys
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 304, "headers": []})
    await send({"type": "http.response.body", "body": b""})

server = Server(app, port=int(sys.argv[1]), interface=Interfaces.ASGINL, http=HTTPModes.http1, log_enabled=False)
asyncio.run(server.serve())
"""


def measure() -> Iterator[Measurement]:
    """The database is there already, as after the first start; the files of Python are in the page cache."""
    ours, bare = [], []
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as name:
        seeded = seed(Path(name), hosts=100)
        for _ in range(TIMES):
            began = time.monotonic()
            with backend_process(seeded):
                _answered(seeded.settings.server.port, seeded.polls[0])
                ours.append(time.monotonic() - began)
            bare.append(_bare_start_s(seeded.polls[0]))
    yield Measurement(
        name="cold start of the backend to the first answered poll",
        value=statistics.median(ours),
        unit="s",
        reference=statistics.median(bare),
        reference_name="the bare server",
        aim=Aim(at_most=0.6),
    )


def _bare_start_s(poll: Poll) -> float:
    port, began = free_port(), time.monotonic()
    process = subprocess.Popen([sys.executable, "-c", _BARE, str(port)], stdout=subprocess.DEVNULL)
    try:
        _answered(port, poll)
        return time.monotonic() - began
    finally:
        process.kill()
        process.wait()


def _answered(port: int, poll: Poll) -> None:
    """Ask until there is an answer; it must be 304."""
    deadline = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(ConnectionError):
            connection.request("GET", poll.path, headers=poll.headers)
            status = connection.getresponse().status
            assert status == 304, status
            return
        connection.close()
        assert time.monotonic() < deadline, "nobody answers"
        time.sleep(0.005)
