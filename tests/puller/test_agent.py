"""The agent as a process: it makes passes, notices exits at once, is alone on its host, and stops cleanly."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from desired_state.document import Service
from tests.fakes.puller import running
from tests.fakes.real_host import SCRIPT, RealHost, real_host

DEADLINE_S = 30.0
DAEMON = SCRIPT.replace(
    """start | restart) begin "$1"; printf running >"$dir/state"; end "$1" ;;""",
    """start | restart)
    begin "$1"
    env -u TOWLINE_STEP setsid sleep 1000 </dev/null >/dev/null 2>&1 &
    printf '%s' "$!" >"$dir/pid"
    printf running >"$dir/state"
    end "$1" ;;""",
).replace(
    """    now=$(state)
""",
    """    now=$(state)
    if [[ $now == running ]]; then
      pid=$(<"$dir/pid")
      stat=$(cat "/proc/$pid/stat" 2>/dev/null || echo ') Z')
      read -ra field <<<"${stat##*) }"
      if [[ ${field[0]} != Z ]]; then
        printf 'pid=%s\\nstart_time=%s\\nboot_id=%s\\n' "$pid" "${field[19]}" "$(</proc/sys/kernel/random/boot_id)"
      else
        now=stopped
      fi
    fi
""",
)


@contextmanager
def agent(host: RealHost, **environ: str) -> Iterator["subprocess.Popen[str]"]:
    process = host.command("run", **environ)
    try:
        yield process
    finally:
        process.terminate()
        _, log = process.communicate(timeout=DEADLINE_S)
        print(log)


def until(what: Callable[[], object]) -> None:
    """Waits for something to become true. Raises AssertionError after the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not what():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)


def converged(host: RealHost) -> bool:
    status = host.command("status")
    status.communicate()
    return status.returncode == 0


def pid_of(host: RealHost, service: str) -> int:
    file = host.prefix / "services" / service / "pid"
    return int(file.read_text() or 0) if file.exists() else 0


def slow(name: str, seconds: str) -> Service:
    return running(name, parameters={"p_none": seconds})


def test_an_exit_is_noticed_at_once(tmp_path: Path) -> None:
    """With an hour between polls, a process that is killed is started again right away."""
    host = real_host(tmp_path, script=DAEMON)
    host.publish(running("one"), poll_interval_s=3600)
    with agent(host):
        until(lambda: converged(host))
        first = pid_of(host, "one")
        os.kill(first, signal.SIGKILL)
        until(lambda: pid_of(host, "one") not in (0, first))
        until(lambda: converged(host))
    os.kill(pid_of(host, "one"), signal.SIGKILL)


def test_a_published_document_arrives_by_polling(tmp_path: Path) -> None:
    """The agent asks again after the document's interval."""
    host = real_host(tmp_path)
    host.publish(running("one"), poll_interval_s=1)
    with agent(host):
        until(lambda: converged(host))
        host.publish(running("one", version="2.0"), poll_interval_s=1)
        until(lambda: (host.prefix / "services/one/version").read_text() == "2.0")


def test_there_is_one_puller_on_a_host(tmp_path: Path) -> None:
    """A second agent is refused, and names the first; one that cron starts ends in silence."""
    host = real_host(tmp_path)
    host.publish(running("one"), poll_interval_s=3600)
    with agent(host) as first:
        until(lambda: converged(host))
        second = host.command("run")
        _, told = second.communicate(timeout=DEADLINE_S)
        by_cron = host.command("run", "--unless-running")
        silence = by_cron.communicate(timeout=DEADLINE_S)
    assert (1, True) == (second.returncode, f"pid {first.pid}" in told)
    assert (0, ("", "")) == (by_cron.returncode, silence)


def test_once_is_done_by_the_agent_that_runs(tmp_path: Path) -> None:
    """`once` beside an agent asks it for the pass, waits for it, and tells its status."""
    host = real_host(tmp_path)
    host.publish(running("one"), poll_interval_s=3600)
    with agent(host):
        until(lambda: converged(host))
        host.publish(running("one", version="2.0"), poll_interval_s=3600)
        once = host.command("once")
        told, _ = once.communicate(timeout=DEADLINE_S)
    assert (0, "2.0") == (once.returncode, (host.prefix / "services/one/version").read_text()), told


def test_what_lies_in_incoming_need_not_be_fetched(tmp_path: Path) -> None:
    """An archive laid below the prefix by hand, under its own name, is found without an address."""
    host = real_host(tmp_path)
    here = host.paths.artifact(host.bundle.digest)
    host.paths.incoming.mkdir()
    here.rename(host.paths.incoming / host.bundle.file)
    host.publish(running("one"))
    assert 0 == host.one_pass()
    assert "1.0" == (host.prefix / "services/one/version").read_text()


def test_stopping_in_the_middle_of_a_step_loses_nothing(tmp_path: Path) -> None:
    """Told to stop during a long step, the agent leaves it to its keeper; the next one reads the receipt."""
    host = real_host(tmp_path)
    host.publish(slow("one", "12"), poll_interval_s=3600)
    with agent(host):
        until(lambda: ["begin", "install"] in [[c[0], c[2]] for c in host.calls()])
    assert [] == [call for call in host.calls() if call[0] == "end"]
    host.publish(slow("one", "0"), poll_interval_s=3600)
    assert 0 == host.one_pass()
    begun = [call[2] for call in host.calls() if call[0] == "begin"]
    assert 1 == begun.count("install")


def test_systemd_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """READY when it is at work, WATCHDOG while it lives, STATUS after each pass, STOPPING at its end."""
    host = real_host(tmp_path)
    host.publish(running("one"), poll_interval_s=3600)
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(address)
        channel.settimeout(DEADLINE_S)
        with agent(host, NOTIFY_SOCKET=address, WATCHDOG_USEC="200000"):
            heard: set[str] = set()
            while not {"READY=1", "WATCHDOG=1", "STATUS=Converged"} <= heard:
                heard.add(channel.recv(4096).decode().partition(":")[0])
        while "STOPPING=1" not in heard:
            heard.add(channel.recv(4096).decode())
    assert {"READY=1", "WATCHDOG=1", "STATUS=Converged", "STOPPING=1"} == heard
