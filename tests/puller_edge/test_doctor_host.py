"""The doctor on the host itself: settings, keys, documents, database, disk, permissions, units, agent."""

import asyncio
import json
import os
import sqlite3
import stat
import subprocess
import sys
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from puller.cli import main
from puller.doctor.examination import CHECKS, Examination, examine
from puller.doctor.finding import Check, Finding, fault, ok, warning
from puller.doctor.telling import tell
from puller.doctor.units import judged
from puller.identity import generate_keys, store_keys
from puller.paths import Paths
from puller.settings import SourceSettings, load_settings, store_settings
from puller.single_flight import SingleFlight
from puller.sources.published_tree import document_path
from puller.store import documents, open_store
from puller.store.documents import Held
from tests.core.publisher import HOST, note_of
from tests.fakes.puller import running
from tests.fakes.real_host import CHECKOUT, SCRIPT, RealHost, real_host
from tests.puller_edge.examined import finding, findings, host
from tests.servers.small_disk import may_mount, small_disk

UP = {"ActiveState": "active", "SubState": "running", "UnitFileState": "enabled", "NRestarts": "0", "Result": "success"}
NOW = datetime.now(UTC).replace(microsecond=0)


def publish(folder: Path, **changes: Any) -> bytes:
    note = note_of(**{"issued_at": NOW, "expires_at": NOW + timedelta(days=90), **changes})
    path = folder / "published" / document_path(HOST)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(note)
    return note


def store(paths: Paths, *notes: tuple[int, bytes]) -> None:
    """Documents that were accepted, one after the other."""

    async def work() -> None:
        opened = await open_store(paths.database)
        for revision, note in notes:
            held = Held(epoch=1, revision=revision, digest=f"sha256:{'0' * 64}", note=note, tag="", origin="", at=NOW)
            await opened.transact(documents.accept, held)
        await opened.close()

    asyncio.run(work())


def test_settings_that_cannot_be_used(tmp_path: Path) -> None:
    """Each problem is a fault, and whoever needs the settings is skipped."""
    paths = host(tmp_path)
    paths.settings.write_text('host = "web-1"\ncolour = 1\nmetrics_dir = "here"\n')
    assert ["fault"] * 3 == [found.verdict for found in findings(paths, "settings")]
    assert ("skipped", "the settings cannot be used") == finding(paths, "names")


def test_a_host_that_was_never_enrolled(tmp_path: Path) -> None:
    """It is told how to become one."""
    assert ("fault", "this host is not enrolled") == finding(Paths(tmp_path), "keys")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda keys: (keys / "identity").chmod(0o644), "readable by others"),
        (lambda keys: (keys / "sealing").unlink(), "sealing cannot be read"),
        (lambda keys: (keys / "identity").write_text("rubbish"), "is damaged"),
        (lambda keys: keys.chmod(0o755), "may be entered by others"),
    ],
)
def test_keys(tmp_path: Path, spoil: Any, words: str) -> None:
    """Missing, damaged, open to others: each is told."""
    paths = host(tmp_path)
    assert "ok" == finding(paths, "keys")[0]
    spoil(paths.keys)
    verdict, told = finding(paths, "keys")
    assert ("fault", True) == (verdict, words in told), told


def test_the_trust_file(tmp_path: Path) -> None:
    """Whom this host believes, and a file that cannot be read."""
    paths = host(tmp_path)
    assert ("ok", "version 1, epoch 1; believes 1 of: publisher") == finding(paths, "trust")
    paths.trust.write_text("rubbish")
    assert "cannot be read" in finding(paths, "trust")[1]


def test_an_older_document_than_the_ratchet(tmp_path: Path) -> None:
    """A replay by the source is told with both revisions."""
    paths = host(tmp_path)
    store(paths, (9, publish(tmp_path, revision=9)))
    publish(tmp_path, revision=7)
    verdict, told = finding(paths, "document")
    assert ("fault", True) == (verdict, "(RevisionOld): revision 7 is older than 9" in told), told


def test_a_newer_document(tmp_path: Path) -> None:
    """It waits for the next pass."""
    paths = host(tmp_path)
    store(paths, (7, publish(tmp_path, revision=7)))
    publish(tmp_path, revision=8)
    assert ("ok", "the source gives revision 8, newer than 7: the next pass takes it") == finding(paths, "document")


def test_no_document_for_this_host(tmp_path: Path) -> None:
    """An empty source."""
    (tmp_path / "published/hosts").mkdir(parents=True)
    assert "has no document for" in finding(host(tmp_path), "source")[1]


def test_a_document_past_its_time(tmp_path: Path) -> None:
    """What is held has expired; soon before, it is a warning."""
    paths = host(tmp_path)
    times = {"issued_at": NOW - timedelta(days=90), "expires_at": NOW - timedelta(days=1)}
    store(paths, (7, publish(tmp_path, revision=7, **times)))
    verdict, told = finding(paths, "held")
    assert ("fault", True) == (verdict, "revision 7 expired at" in told), told
    store(paths, (8, publish(tmp_path, revision=8, **times | {"expires_at": NOW + timedelta(days=3)})))
    assert "which is soon" in finding(paths, "held")[1]


def test_a_database_of_rubbish(tmp_path: Path) -> None:
    """Rubbish in its place; the advice says what it costs."""
    paths = host(tmp_path)
    paths.database.write_bytes(b"rubbish" * 1000)
    found = findings(paths, "database")
    assert ("fault", True, True) == (found[0].verdict, "is damaged" in found[0].found, "move" in found[0].advice), found


def test_a_damaged_page(tmp_path: Path) -> None:
    """integrity_check finds what opening does not."""
    paths = host(tmp_path)
    store(paths, (7, publish(tmp_path)))
    db = sqlite3.connect(paths.database)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = 'step_by_id'").fetchone()[0]
    size = db.execute("PRAGMA page_size").fetchone()[0]
    db.close()
    with paths.database.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\xff" * 64)
    assert "is damaged" in finding(paths, "database")[1]


def test_a_database_of_a_newer_agent(tmp_path: Path) -> None:
    """Its schema is not known here."""
    paths = host(tmp_path)
    store(paths)
    db = sqlite3.connect(paths.database)
    db.execute("PRAGMA user_version = 99")
    db.close()
    assert "its schema is 99, this puller knows" in finding(paths, "database")[1]


def test_reports_that_wait(tmp_path: Path) -> None:
    """The backlog is a warning."""
    paths = host(tmp_path)
    store(paths)
    db = sqlite3.connect(paths.database)
    db.execute("INSERT INTO outbox VALUES (1, 'sha256:1', x'00')")
    db.commit()
    db.close()
    assert ("warning", "1 reports wait for the backend; none is lost") == finding(paths, "reports")


def doctor_on(disk: Any, paths: Paths, check: str) -> list[dict[str, str]]:
    """The check, in the disk's namespace."""
    command = [sys.executable, "-m", "puller.cli", "--prefix", paths.prefix, "doctor", "--json"]
    told = subprocess.run(disk.command(command), capture_output=True, text=True, cwd=CHECKOUT, check=False, timeout=60)
    found = json.loads(told.stdout)["findings"]
    return [each for each in found if each["check"] == check]


@pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount")
def test_a_full_and_a_read_only_disk(tmp_path: Path) -> None:
    """Full, out of inodes, read-only: the doctor works on each and says which."""
    with small_disk(tmp_path / "disk") as disk:
        host(disk.outside)
        paths = Paths(disk.mount / "prefix")
        disk.fill()
        full = doctor_on(disk, paths, "disk")[0]
        disk.empty()
        disk.remount("size=800m,nr_inodes=30")
        few = doctor_on(disk, paths, "disk")[0]
        disk.remount("ro")
        read_only = doctor_on(disk, paths, "disk")[0]
    assert ("fault", True) == (full["verdict"], "nothing is fetched below 64 MiB" in full["found"]), full
    assert ("warning", True) == (few["verdict"], "inodes" in few["found"]), few
    expected = f"the file system of {tmp_path}/disk/prefix is read-only"
    assert ("fault", expected) == (read_only["verdict"], read_only["found"])


@pytest.mark.parametrize(
    ("mode", "place", "words"),
    [
        (0o777, "state", "may be changed by others (mode 0777)"),
        (0o666, "etc/puller.toml", "may be changed by others (mode 0666)"),
        (0o644, "etc/proxy.env", "may be read by others (mode 0644)"),
    ],
)
def test_permissions(tmp_path: Path, mode: int, place: str, words: str) -> None:
    """What others may write, or read though it is secret."""
    paths = host(tmp_path)
    paths.proxies.touch(mode=0o600)
    assert "ok" == finding(paths, "permissions")[0]
    (paths.prefix / place).chmod(mode)
    verdict, told = finding(paths, "permissions")
    assert ("fault", True) == (verdict, words in told), told


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_file_of_somebody_else(tmp_path: Path) -> None:
    """Its owner is named."""
    paths = host(tmp_path)
    os.chown(paths.settings, 4711, 0)
    assert (("fault", f"{paths.settings} is of user 4711")) == finding(paths, "permissions")


def unit_findings(**changes: dict[str, str]) -> list[Finding]:
    names = {"service": "towline-puller.service", "timer": "towline-self-healing.timer"}
    return list(judged({full: {**UP, **changes.get(name, {})} for name, full in names.items()}))


def test_units() -> None:
    """Up and enabled; failed; never enabled; a timer that is off; restarted again and again."""
    assert ["ok", "ok"] == [found.verdict for found in unit_findings()]
    failed = unit_findings(service={"ActiveState": "failed", "SubState": "failed", "Result": "watchdog"})[0]
    assert ("fault", "towline-puller.service is failed (failed, watchdog)") == (failed.verdict, failed.found)
    off = unit_findings(service={"UnitFileState": "disabled"})[1]
    assert ("warning", "towline-puller.service is disabled") == (off.verdict, off.found)
    timer = unit_findings(timer={"ActiveState": "inactive"})[1]
    assert ("warning", True) == (timer.verdict, "nobody restarts an agent that hangs" in timer.found)
    assert "restarted 99 times" in unit_findings(service={"NRestarts": "99"})[0].found


def test_units_are_asked_of_systemd_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One call of systemctl for all of them."""
    calls = tmp_path / "calls"
    fake = tmp_path / "systemctl"
    fake.write_text(
        f'#!/bin/sh\necho "$@" >>{calls}\nprintf "Id=towline-puller.service\\nLoadState=loaded\\nActiveState=failed\\n'
        'SubState=failed\\nResult=exit-code\\n\\nId=towline-self-healing.timer\\nActiveState=active\\n"\n'
    )
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    found = findings(host(tmp_path), "units")
    assert "towline-puller.service is failed (failed, exit-code)" == found[0].found
    assert 1 == len(calls.read_text().splitlines())


def test_a_cron_line_that_is_gone(tmp_path: Path) -> None:
    """Installed with cron, and nothing calls self_healing any more."""
    paths = host(tmp_path)
    paths.agent.mkdir()
    (paths.agent / "installed").write_text("mode=cron\nversion=1\n")
    assert ("fault", "the cron line that keeps the agent alive is not there") == finding(paths, "units")


def test_no_agent_runs(tmp_path: Path) -> None:
    """A fault, unless an operator stopped it: then a warning that says who."""
    paths = host(tmp_path)
    assert ("fault", "no agent runs on this host") == finding(paths, "agent")
    paths.agent.mkdir()
    (paths.agent / "stopped").write_text("by=ada at=now\n")
    assert ("warning", "no agent runs: an operator stopped it (by=ada at=now)") == finding(paths, "agent")


def test_an_agent_that_does_not_serve(tmp_path: Path) -> None:
    """It has the lock and no socket."""
    paths = host(tmp_path)
    with SingleFlight(paths.lock):
        verdict, told = finding(paths, "agent")
    assert ("fault", True) == (verdict, f"(pid {os.getpid()}) does not serve" in told), told


def test_releases(tmp_path: Path) -> None:
    """On trial, refused with the reason, and a link that leads nowhere."""
    paths = host(tmp_path)
    assert "skipped" == finding(paths, "releases")[0]
    (paths.agent / "refused").mkdir(parents=True)
    (paths.agent / "refused/2.0-abc").write_text("reason=crashed at start: no module\nat=x\n")
    (paths.agent / "trial").write_text("release=3.0-def\nfrom=1.0-aaa\ntimeout_s=300\n")
    (paths.agent / "current").symlink_to("releases/3.0-def")
    told = [found.found for found in findings(paths, "releases")]
    assert f"{paths.agent}/current leads to releases/3.0-def, which is not there" == told[0]
    assert "release 3.0-def is on trial, from 1.0-aaa" == told[1]
    assert "release 2.0-abc was undone: crashed at start: no module" == told[2]


def test_what_the_last_pass_said(tmp_path: Path) -> None:
    """Stalled is a fault with the condition's own message."""
    on = real_host(tmp_path, script=SCRIPT.replace("begin install;", "exit 6;"))
    on.publish(running("one"))
    on.one_pass()
    verdict, told = finding(on.paths, "status")
    assert ("fault", True) == (verdict, "Stalled is True" in told), told


def test_a_check_that_breaks_is_named() -> None:
    """Its error is a fault of its own; the others go on."""

    def broken(_: object) -> list[Finding]:
        raise ZeroDivisionError("by nothing")

    found = asyncio.run(
        examine(Paths(Path("/nowhere")), {}, [Check("broken", broken), Check("fine", lambda _: [ok("well")])])
    )
    assert ["could not be checked: ZeroDivisionError: by nothing", "well"] == [each.found for each in found.findings]
    assert ("broken", "fault", 2) == (found.findings[0].check, found.findings[0].verdict, found.exit_code)


def test_a_check_that_hangs_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up on, and told."""
    import threading  # noqa: PLC0415

    monkeypatch.setattr("puller.doctor.examination.LAST_RESORT_S", 0.05)
    never = threading.Event()

    def hangs(_: object) -> list[Finding]:
        never.wait(20)
        return []

    found = asyncio.run(examine(Paths(Path("/nowhere")), {}, [Check("stuck", hangs)]))
    never.set()
    assert ("stuck", "not done in time: something hangs") == (found.findings[0].check, found.findings[0].found)


def test_the_worst_is_told_first() -> None:
    """A headline with counts, then faults, warnings and the rest, aligned, with what to do."""
    made = (ok("well"), warning("so so", "mind"), fault("bad", "mend"))
    found = tuple(replace(each, check=name) for each, name in zip(made, ("a", "bb", "ccc"), strict=True))
    told = tell(Examination(host="web-1", prefix="/p", agent_version="1", at="", findings=found))
    expected = [
        "web-1: 1 fault, 1 warning (3 findings; prefix /p)",
        "  fault    ccc  bad",
        "                what to do: mend",
        "  warning  bb   so so",
        "                what to do: mind",
        "  ok       a    well",
    ]
    assert expected == told.splitlines()


def test_exit_codes() -> None:
    """0 well, 1 warnings, 2 faults."""
    codes = [
        Examination(host="", prefix="", agent_version="", at="", findings=tuple(made)).exit_code
        for made in ([ok("")], [ok(""), warning("", "")], [warning("", ""), fault("", "")])
    ]
    assert [0, 1, 2] == codes


def test_nothing_is_changed(tmp_path: Path) -> None:
    """The whole examination leaves every file as it was, with and without a database."""
    on = real_host(tmp_path)
    on.publish(running("one"))
    on.one_pass()
    before = files(on.prefix)
    asyncio.run(examine(on.paths, {}))
    assert before == files(on.prefix)


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Modes and contents; SQLite's own index of readers is no content."""
    return {
        str(path): (stat.S_IMODE(path.stat().st_mode), path.read_bytes() if path.is_file() else b"")
        for path in sorted(folder.rglob("*"))
        if not path.name.endswith(("-shm", "-wal"))
    }


def test_every_check_is_in_the_documentation() -> None:
    """docs/doctor.md names each."""
    page = (CHECKOUT / "docs/doctor.md").read_text()
    assert [] == [check.name for check in CHECKS if f"| `{check.name}` |" not in page]


def test_the_bundle_has_no_secret(tmp_path: Path) -> None:
    """Canaries wherever a secret may lie: none is in any file of the bundle, which has all that a ticket needs."""
    on = with_canaries(tmp_path)
    target = tmp_path / "ticket.tar.gz"
    environ = {"HTTPS_PROXY": "http://u:CANARY-env-proxy@127.0.0.1:1"}
    command = ["--prefix", str(on.prefix), "doctor", "--bundle", str(target)]
    ended = CliRunner().invoke(main, command, env=environ)
    assert (2, True) == (ended.exit_code, f"for the ticket: {target}" in ended.output), ended.output
    with tarfile.open(target) as tar:
        texts = {member.name: tar.extractfile(member).read().decode() for member in tar}  # type: ignore[union-attr]
    parts = ("doctor.json", "status.json", "puller.toml", "proxy.env", "log.txt", "database.json", "steps.json")
    assert {f"towline-doctor/{name}" for name in (*parts, "versions.json", "units.txt", "agent.json")} == set(texts)
    whole = "\n".join(texts.values()) + ended.output
    assert [] == [secret for secret in secrets_of(on) if secret in whole]
    assert (0o600, True) == (stat.S_IMODE(target.stat().st_mode), "[redacted]" in texts["towline-doctor/log.txt"])
    assert 1 <= json.loads(texts["towline-doctor/database.json"])["rows"]["step"]
    assert {"install", "start"} <= {step["verb"] for step in json.loads(texts["towline-doctor/steps.json"])}


def with_canaries(folder: Path) -> RealHost:
    """A host that has made a pass, with a secret in each place that the bundle reads or passes by."""
    on = real_host(folder)
    on.publish(running("one"))
    on.one_pass()
    store_keys(generate_keys(), on.paths.keys)
    password = folder / "git-password"
    password.write_text("CANARY-git-password\n")
    settings = load_settings(on.paths, {})
    source = SourceSettings(
        type="git", url="https://user-CANARY-userinfo@127.0.0.1:1/x.git", username="reader", password_file=password
    )
    store_settings(on.paths, replace(settings, source=source))
    on.paths.proxies.write_text("https_proxy=http://u:CANARY%2Fproxy@127.0.0.1:1\n")
    on.paths.proxies.chmod(0o600)
    key = (on.paths.keys / "identity").read_text()
    on.paths.log.parent.mkdir()
    on.paths.log.write_text(
        "asked https://u:CANARY-in-log@git.example/x, password CANARY-git-password, by http://u:CANARY/proxy@p\n"
        f"token towline-join-1.CANARYtoken_abc-def and {key}\nordinary\n"
    )
    return on


def secrets_of(on: RealHost) -> list[str]:
    keys = [(on.paths.keys / name).read_text().splitlines()[1] for name in ("identity", "sealing")]
    return ["CANARY", *keys]


@pytest.mark.parametrize(("mode", "asked"), [("user", "--user-unit="), ("systemd", "--unit=")])
def test_the_journal_is_that_of_the_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, asked: str
) -> None:
    """An agent under a user's systemd has its journal there; 2,000 lines are taken."""
    fake = tmp_path / "journalctl"
    fake.write_text('#!/bin/sh\necho "asked: $*"\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    paths = host(tmp_path)
    paths.agent.mkdir()
    (paths.agent / "installed").write_text(f"mode={mode}\n")
    target = tmp_path / "ticket.tar.gz"
    CliRunner().invoke(main, ["--prefix", str(paths.prefix), "doctor", "--bundle", str(target)])
    with tarfile.open(target) as tar:
        log = tar.extractfile("towline-doctor/log.txt").read().decode()  # type: ignore[union-attr]
    assert True is log.startswith(f"asked: {asked}towline-puller.service --lines=2000"), log


def test_a_bundle_that_cannot_be_written(tmp_path: Path) -> None:
    """It is told, with the path."""
    paths = host(tmp_path)
    target = tmp_path / "missing/ticket.tar.gz"
    ended = CliRunner().invoke(main, ["--prefix", str(paths.prefix), "doctor", "--bundle", str(target)])
    assert (1, True) == (ended.exit_code, f"{target} cannot be written" in ended.output), ended.output


def test_as_json(tmp_path: Path) -> None:
    """For programs: every finding with its check, verdict, words and advice."""
    paths = host(tmp_path)
    ended = CliRunner().invoke(main, ["--prefix", str(paths.prefix), "doctor", "--json"])
    told = json.loads(ended.stdout)
    assert (HOST, str(paths.prefix)) == (told["host"], told["prefix"])
    assert {check.name for check in CHECKS} == {each["check"] for each in told["findings"]}
