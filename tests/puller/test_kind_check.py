"""`towline-puller kind check`: each way to break the contract is found, and told with what to do."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from msgspec.structs import replace

from desired_state.script_form import BANS
from puller.cli import main
from puller.kinds import examination
from puller.kinds.examination import CHECKS, Finding, examine
from puller.kinds.given import Given
from puller.kinds.scratch import scratch_host
from tests.puller.kind_files import WIRES, given, script
from tests.scripts.calling import eventually


def found(what: Given, monkeypatch: pytest.MonkeyPatch, *checks: str) -> dict[str, Finding]:
    """What these checks found, by their names."""
    monkeypatch.setattr(examination, "CHECKS", tuple(check for check in CHECKS if check.name in checks))

    async def work() -> tuple[Finding, ...]:
        with scratch_host(what, progress=lambda _: None) as scratch:
            return await examine(scratch, told=lambda _: None)

    return {finding.check: finding for finding in asyncio.run(work())}


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["kind", "check", *map(str, arguments)], catch_exceptions=False)


BROKEN_META = [
    ("8080      |        |", "8080 | 9000.. |", "parameter port: its default must be at least 9000; it is 8080"),
    ("PORTS=port ", "PORTS=harbour ", "names ports that are no parameters: harbour"),
    ("KIND=hello", "KIND=hallo", "says it is for the kind hallo"),
    ("stop 60  restart", "restart", "lacks the required verbs stop"),
    ("| hello     |", "| \x07     |", "does not fit the contract"),
    ("KIND=hello", "KIND=hello; exit 9", "ended with exit code 9"),
]


@pytest.mark.parametrize(("was", "is_now", "text"), BROKEN_META)
def test_what_meta_says_must_be_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, was: str, is_now: str, text: str
) -> None:
    """The fault is told, and no verb is called after it."""
    findings = found(given(tmp_path, replaced=(was, is_now)), monkeypatch, "meta", "empty host", "install twice")
    assert ("fault", True) == (findings["meta"].outcome, text in findings["meta"].text)
    assert {"meta has a fault"} == {findings[name].text for name in ("empty host", "install twice")}


LIFE = tuple(check.name for check in CHECKS if check.name not in ("name", "shape", "bans", "shellcheck"))
BROKEN_LIFE = [
    ("empty host", 'look() { mkdir -p "$service_dir"; answer absent; }', "check_status made"),
    ("empty host", "look() { answer stopped; }", "should end with 5"),
    ("version", "supported_version() { :; }; version_fits() { :; }", "should be refused with 6"),
    (
        "install twice",
        "install() { install_program server --version; CHANGED=1; }",
        "the second call should say changed=0",
    ),
    (
        "configure twice",
        'configured() { record_parameters; fact config "sha256:$(printf "%064d" 1)"; }',
        "check_status says",
    ),
    ("start twice", "healthy() { REASON='is never well' && return 1; }", "is never well"),
    ("looking", 'discover() { touch "$run/discovered"; }', "run/discovered"),
    ("looking", 'healthy() { fact port "$RANDOM"; }', "says one thing and then another: port"),
    (
        "in place again",
        "install() { install_program server --version; ! running || CHANGED=1; }",
        "should say changed=0",
    ),
    (
        "in place again",
        "install() { install_program server --version; ! running || { stop && start && CHANGED=0; }; }",
        "not the one",
    ),
    ("restart", "restart() { CHANGED=1; }", "the process is the one from before"),
    ("reload", "reload() { stop; start; }", "the process is not the one from before"),
    ("uninstall twice", 'uninstall() { stop; release_packages current; remove_tree "$service_dir"; }', "data/ is gone"),
    ("purge twice", "purge() { :; }", "should say changed=1"),
]


@pytest.mark.parametrize(("check", "added", "text"), BROKEN_LIFE)
def test_what_breaks_a_life_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, added: str, text: str
) -> None:
    """By the check that is about it and by none before it; it says what to do."""
    findings = found(given(tmp_path, added=added), monkeypatch, *LIFE[: LIFE.index(check) + 1])
    faults = [finding for finding in findings.values() if finding.outcome == "fault"]
    assert [check] == [finding.check for finding in faults]
    assert text in faults[0].text
    assert next(known.do for known in CHECKS if known.name == check) == faults[0].do


def test_a_value_that_becomes_a_command_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package too: `configure` is called with it."""
    careless = ("greeting=${PARAM[greeting]}", 'greeting=$(eval echo "${PARAM[greeting]}")')
    what = Given(file=script(tmp_path, replaced=careless))
    findings = found(what, monkeypatch, "bans", "meta", "hostile values", "start twice")
    assert "eval" in findings["bans"].text
    assert ("fault", True) == (
        findings["hostile values"].outcome,
        "was run as a command" in findings["hostile values"].text,
    )
    assert "needs --package server=ARCHIVE --version VERSION" == findings["start twice"].text


def test_a_value_that_arrives_as_another_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was recorded is compared byte by byte."""
    what = Given(file=script(tmp_path, added="parameters_fit() { PARAM[bind]=${PARAM[bind]//[^0-9.]/}; }"))
    findings = found(what, monkeypatch, "meta", "hostile values")
    assert ("fault", True) == (findings["hostile values"].outcome, " arrived as " in findings["hostile values"].text)


def test_a_secret_that_is_shown_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In what a call prints; one is made up where none is given."""
    what = given(
        tmp_path,
        replaced=("start_timeout |", "token | secret | | | restart | Known to clients\nstart_timeout |"),
        added='parameters_fit() { secret_text token; log "the token is $REPLY"; }',
    )
    findings = found(what, monkeypatch, "meta", "install twice", "configure twice", "start twice", "secrets")
    assert ("fault", "install printed the secret token") == (findings["secrets"].outcome, findings["secrets"].text)


WIRED = ("meta", "install twice", "configure twice", "start twice", "monitoring twice", "stop twice", "monitoring gone")
BROKEN_WIRING = [
    (
        "monitoring twice",
        "monitor_trace() { wanted; CHANGED=1; }",
        "job=web, the second time, should say changed=0, it said changed=1",
    ),
    (
        "monitoring twice",
        "monitor_trace() { wanted; }; take_back() { :; }",
        "nothing under monitoring, the first time, should say changed=1, it said changed=0",
    ),
    (
        "monitoring twice",
        'monitor_trace() { wanted; }; take_back() { put "$run/told" <<<"taken out"; }',
        "job=web, once it was taken out, should say changed=1, it said changed=0",
    ),
    (
        "monitoring twice",
        "monitor_trace() { wanted; local said=$CHANGED; stop; start; CHANGED=$said; }",
        "the service is another one than before: pid",
    ),
    ("monitoring twice", "monitor_trace() { fail 1 'no such folder'; }", "no such folder"),
    (
        "monitoring gone",
        'monitor_trace() { wanted; }; unset -f take_back; not_at_uninstall() { check_file; remove_file "$REPLY"; }',
        "job=web, after uninstall and install, should say changed=1, it said changed=0",
    ),
]


def wiring(folder: Path, added: str = "") -> Given:
    """A kind that wires into the folder `site` in that one, spoilt by what is added to it."""
    (folder / "site").mkdir()
    honest = WIRES.replace("$prefix/checks.d", str(folder / "site"))
    if added:
        honest = honest.replace("monitor_trace() {", "wanted() {")
    made = given(folder, added=honest + added)
    return replace(made, parameters={"start_timeout": "2m"}, monitoring={"job": "web"})


def test_wiring_that_is_put_and_taken_out_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of it is left where it was put, which is outside the scratch folder."""
    findings = found(wiring(tmp_path), monkeypatch, *WIRED)
    assert {"ok"} == {finding.outcome for finding in findings.values()}, findings
    assert "wired, and taken out; a second time changes nothing; the service never notices" == (
        findings["monitoring twice"].text
    )
    assert [] == list((tmp_path / "site").iterdir())


@pytest.mark.parametrize(("check", "added", "text"), BROKEN_WIRING)
def test_wiring_that_breaks_the_contract_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, check: str, added: str, text: str
) -> None:
    """By the check that is about it."""
    findings = found(wiring(tmp_path, added), monkeypatch, *WIRED[: WIRED.index(check) + 1])
    assert [check] == [finding.check for finding in findings.values() if finding.outcome == "fault"]
    assert text in findings[check].text


def test_a_fault_leaves_no_wiring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was put before it was found is taken out."""
    findings = found(wiring(tmp_path, "monitor_trace() { wanted; CHANGED=1; }"), monkeypatch, *WIRED)
    assert "fault" == findings["monitoring twice"].outcome
    assert [] == list((tmp_path / "site").iterdir())


def test_nothing_is_wired_that_nobody_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be written outside the scratch folder: the check says which value it wants, and calls nothing."""
    what = replace(wiring(tmp_path, "monitor_trace() { fail 1 'was called'; }"), monitoring={"interval": "30s"})
    findings = found(what, monkeypatch, *WIRED)
    said = {(findings[name].outcome, findings[name].text) for name in ("monitoring twice", "monitoring gone")}
    why = "needs --monitoring job=VALUE; it then writes outside the scratch folder, as on any host"
    assert {("left out", why)} == said


def test_a_script_that_towline_ships_in_another_form_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A repository adds kinds; it replaces none."""
    file = tmp_path / "redisctl.sh"
    file.write_text("#!/usr/bin/env bash\n")
    findings = found(Given(file=file), monkeypatch, "name", "shape")
    assert "redisctl.sh is a script that towline ships, and this is another one" == findings["name"].text
    assert "line 2: does not say what it drives" in findings["shape"].text


def test_each_check_is_a_line_and_the_last_one_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 1 with a fault, its lines below it with what to do."""
    monkeypatch.setattr(examination, "CHECKS", tuple(check for check in CHECKS if check.name in ("name", "bans")))
    file = script(tmp_path, added="pkill hello")
    line = file.read_text().splitlines().index("pkill hello") + 1
    said = run(file)
    assert 1 == said.exit_code
    assert [
        "ok       name: kind hello",
        f"fault    bans: line {line}: killing by name: {BANS['killing by name'].instead}",
        "         to do: do as the lines say",
        "2 checks: 1 with faults, 0 left out",
    ] == said.stdout.splitlines()


WRONG = [
    (("hello.sh",), "no kind's script"),
    (("agentctl.sh",), "no document stops or removes"),
    (("hello_ctl.sh", "--package", "server"), "no NAME=VALUE"),
    (("helloctl.sh", "--package", "server=nowhere.tar.gz"), "there is no file nowhere.tar.gz"),
    (("helloctl.sh", "--package", "server=hello.sh"), "--version"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_wrong_usage_is_told_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], text: str
) -> None:
    """Exit 2."""
    for name in ("hello.sh", "agentctl.sh", "hello_ctl.sh", "helloctl.sh"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    said = run(*arguments)
    assert (2, True) == (said.exit_code, text in said.stderr)


def begun(what: Given, scratch: Path, *options: str, checks: tuple[str, ...]) -> "subprocess.Popen[bytes]":
    """These checks in a process of its own, below that folder; what it says is in the file `said` beside it."""
    scratch.mkdir()
    package = f"server={what.packages['server']}"
    command = ["kind", "check", str(what.file), "--version", "1.0.0", "--package", package, *options]
    start = f"""
import os
os.environ["TMPDIR"] = {str(scratch)!r}
from puller.kinds import examination
examination.CHECKS = tuple(check for check in examination.CHECKS if check.name in {checks!r})
from puller.cli import main
main({command!r})
"""
    with scratch.with_name("said").open("wb") as said:
        return subprocess.Popen([sys.executable, "-c", start], stdout=said, stderr=said)


def test_a_check_that_is_ended_leaves_nothing(tmp_path: Path) -> None:
    """SIGTERM in its midst: its folder and its processes go."""
    scratch = tmp_path / "scratch"
    process = begun(given(tmp_path), scratch, checks=LIFE)
    there = "*/prefix/services/check/run/identity"
    assert eventually(300, lambda: bool(list(scratch.glob(there)))), (tmp_path / "said").read_text()
    process.send_signal(signal.SIGTERM)
    assert (143, []) == (process.wait(60), list(scratch.iterdir()))


def test_a_check_that_is_ended_leaves_no_wiring(tmp_path: Path) -> None:
    """SIGTERM while monitor_trace is called: the call ends, and what it has put is taken out."""
    scratch, called, goes_on = tmp_path / "scratch", tmp_path / "called", tmp_path / "goes-on"
    holds = f'monitor_trace() {{ wanted; : >"{called}"; until [[ -e {goes_on} ]]; do sleep 0.1; done; }}'
    what = wiring(tmp_path, f"{holds}; VERBS=${{VERBS/trace 10/trace 600}}")
    options = ("--parameter", "start_timeout=2m", "--monitoring", "job=web")
    process = begun(what, scratch, *options, checks=WIRED)
    assert eventually(300, lambda: called.exists() or process.poll() is not None)
    assert called.exists(), (tmp_path / "said").read_text()
    process.send_signal(signal.SIGTERM)
    goes_on.touch()
    assert (143, [], []) == (process.wait(120), list(scratch.iterdir()), list((tmp_path / "site").iterdir()))
