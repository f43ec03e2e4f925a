"""`alive`: three states that never lie, asked of a real process over its local socket."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from puller.answering import Answering, Word
from puller.cli import main
from puller.paths import Paths
from puller.settings import load_settings, store_settings
from puller.single_flight import SingleFlight
from tests.fakes.puller import running
from tests.fakes.real_host import CHECKOUT, RealHost, real_host
from tests.puller.test_agent import agent, until


def ask(host: RealHost) -> tuple[int, dict[str, Any]]:
    process = host.command("alive", "--json")
    told, wrong = process.communicate(timeout=30)
    assert "" == wrong
    return process.returncode, json.loads(told)


def passes(host: RealHost) -> int:
    return int(ask(host)[1].get("passes", 0))


def descriptors(pid: int) -> list[str]:
    folder = Path(f"/proc/{pid}/fd")
    return sorted(os.readlink(entry) for entry in folder.iterdir())


def test_nobody_runs(tmp_path: Path) -> None:
    """Without a puller: exit code 3, in key=value for scripts."""
    process = real_host(tmp_path).command("alive")
    told, _ = process.communicate(timeout=30)
    assert (3, "state=not-running\nmessage=no puller runs on this host\n") == (process.returncode, told)


def test_it_serves(tmp_path: Path) -> None:
    """A running agent answers with its pid, its passes and how ready the host is."""
    host = real_host(tmp_path)
    host.publish(running("one"), poll_interval_s=3600)
    with agent(host) as process:
        until(lambda: passes(host) == 1)
        code, facts = ask(host)
    told = {name: facts[name] for name in ("state", "pid", "release", "passes", "delivered", "sink", "ready", "reason")}
    expected = {"state": "serving", "pid": process.pid, "release": "", "passes": 1, "delivered": 0, "sink": False}
    assert (0, expected | {"ready": "True", "reason": "Converged"}) == (code, told)
    assert (1, True, True) == (facts["revision"], facts["pass_age_s"] >= 0, facts["good_pass_age_s"] >= 0)


def test_a_pass_that_found_no_document_is_no_good_one(tmp_path: Path) -> None:
    """It counts as a pass; how long the last good one is ago, nobody can say before there was one."""
    host = real_host(tmp_path)
    with agent(host):
        until(lambda: passes(host) >= 1)
        facts = ask(host)[1]
    assert (True, None, "False") == (facts["pass_age_s"] >= 0, facts["good_pass_age_s"], facts["ready"])


def test_scripts_read_key_value(tmp_path: Path) -> None:
    """One fact a line, booleans as yes and no, what is not known empty."""
    host = real_host(tmp_path)
    with agent(host):
        until(lambda: passes(host) >= 1)
        told, _ = host.command("alive").communicate(timeout=30)
    facts = dict(line.split("=", 1) for line in told.splitlines())
    assert ("serving", "no", "False", "") == (facts["state"], facts["sink"], facts["ready"], facts["revision"])
    assert "" == facts["good_pass_age_s"]


def test_a_puller_that_hangs_does_not_serve(tmp_path: Path) -> None:
    """A stopped process holds the lock and the socket, and answers nothing: exit code 1, and it is named."""
    host = real_host(tmp_path)
    with agent(host) as process:
        until(lambda: passes(host) >= 1)
        process.send_signal(signal.SIGSTOP)
        try:
            code, facts = ask(host)
        finally:
            process.send_signal(signal.SIGCONT)
    assert (1, "not-serving", process.pid) == (code, facts["state"], facts["pid"])
    assert "does not answer within 5 s" in facts["message"]


def test_a_killed_puller_is_not_running_and_the_next_one_serves(tmp_path: Path) -> None:
    """The socket that a killed one left lies to nobody, and is replaced."""
    host = real_host(tmp_path)
    with agent(host) as process:
        until(lambda: passes(host) >= 1)
        process.kill()
        process.wait()
        assert (3, True) == (ask(host)[0], host.paths.socket.exists())
    with agent(host):
        until(lambda: ask(host)[0] == 0)
    assert False is host.paths.socket.exists()


def test_one_pass_by_hand_answers_too(tmp_path: Path) -> None:
    """`once` without an agent serves while it works, so that nobody ends it as one that hangs."""
    host = real_host(tmp_path)
    host.publish(running("one", parameters={"p_none": "2"}))
    once = host.command("once")
    until(lambda: ask(host)[0] == 0)
    code, facts = ask(host)
    once.communicate(timeout=30)
    assert (0, once.pid, 0, "makes one pass") == (code, facts["pid"], facts["passes"], facts["message"])


def test_it_needs_no_database(tmp_path: Path) -> None:
    """With rubbish in the database's place the running agent still answers."""
    host = real_host(tmp_path)
    with agent(host):
        until(lambda: passes(host) >= 1)
        host.paths.database.write_bytes(b"rubbish" * 1000)
        assert 0 == ask(host)[0]


def test_a_prefix_longer_than_an_address_of_a_socket(tmp_path: Path) -> None:
    """An address holds 108 bytes; a scratch prefix may be longer."""
    host = real_host(tmp_path / ("d" * 100) / ("e" * 100))
    with agent(host):
        until(lambda: ask(host)[0] == 0)


def test_it_is_the_owners_alone(tmp_path: Path) -> None:
    """Nobody else may connect."""
    host = real_host(tmp_path)
    with agent(host):
        until(lambda: ask(host)[0] == 0)
        assert 0o600 == stat.S_IMODE(host.paths.socket.stat().st_mode)


def test_clients_that_never_read_hold_nothing(tmp_path: Path) -> None:
    """After two hundred of them the next one is answered, and no descriptor of the agent's is left open."""
    host = real_host(tmp_path)
    with agent(host) as process:
        until(lambda: passes(host) >= 1)
        before = descriptors(process.pid)
        mute = []
        for _ in range(200):
            client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            client.connect(str(host.paths.socket))
            mute.append(client)
        code = ask(host)[0]
        until(lambda: descriptors(process.pid) == before)
        for client in mute:
            client.close()
    assert 0 == code


def test_the_release_is_read_from_the_process(tmp_path: Path) -> None:
    """A puller that hangs is named with the release whose path stands in its command line."""
    paths = Paths(tmp_path)
    paths.state.mkdir()
    fake = tmp_path / "agent/releases/1.2.3-0123456789ab/bin/python3.11"
    code = (
        "import sys, time; from pathlib import Path; from puller.single_flight import SingleFlight\n"
        "with SingleFlight(Path(sys.argv[2])): print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(fake), str(paths.lock)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        code_, facts = ask(RealHost(tmp_path, tmp_path, tmp_path, None))  # type: ignore[arg-type]
        process.kill()
    assert (1, "1.2.3-0123456789ab", True) == (code_, facts["release"], "has no socket" in facts["message"])


def test_a_disk_that_takes_no_socket_stops_nothing(tmp_path: Path) -> None:
    """Where the socket cannot be made, opening it again later does."""
    import asyncio  # noqa: PLC0415

    async def story() -> tuple[bool, bool]:
        (tmp_path / "run").write_text("in the way")
        answering = Answering(tmp_path / "run/puller.sock", lambda: Word(pid=1, version="1", up_s=0))
        answering.open()
        (tmp_path / "run").unlink()
        before = (tmp_path / "run/puller.sock").exists()
        answering.open()
        after = (tmp_path / "run/puller.sock").exists()
        answering.close()
        return before, after

    assert (False, True) == asyncio.run(story())


def test_asking_loads_next_to_nothing() -> None:
    """Neither msgspec nor asyncio nor a log library: a minute's question must cost no more than it is worth."""
    code = "import sys, puller.cli, puller.alive, puller.paths; print(*sorted(sys.modules))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=CHECKOUT).stdout
    assert set() == {"msgspec", "asyncio", "structlog", "ssl", "httpx2", "cryptography"} & set(told.split())


def test_holding_the_lock_alone_is_not_serving(tmp_path: Path) -> None:
    """A puller that has not opened its socket yet runs and does not serve."""
    host = real_host(tmp_path)
    with SingleFlight(host.paths.lock):
        code, facts = ask(host)
    assert (1, "not-serving") == (code, facts["state"])


def test_a_backend_that_takes_nothing_is_told(tmp_path: Path) -> None:
    """Why reports wait is in `alive` and in `status`, though documents come from elsewhere."""
    host = real_host(tmp_path)
    settings = load_settings(host.paths, {})
    store_settings(host.paths, replace(settings, backend_url="http://127.0.0.1:1"))
    host.publish(running("one"), poll_interval_s=3600)
    with agent(host):
        until(lambda: passes(host) >= 1)
        facts = ask(host)[1]
        status, _ = host.command("status").communicate(timeout=30)
    assert (True, 0) == (facts["sink"], facts["delivered"])
    assert True is facts["undelivered"].startswith("POST http://127.0.0.1:1/v1/hosts/"), facts
    assert f"why: {facts['undelivered']}" in status


def test_another_users_puller_is_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may not look does not say that nobody runs: exit code 4, and what to do."""

    def closed(_: Path) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("puller.alive.holder", closed)
    ended = CliRunner().invoke(main, ["--prefix", str(tmp_path), "alive"])
    assert (4, True) == (ended.exit_code, ended.output.startswith("state=unknown\n")), ended.output
