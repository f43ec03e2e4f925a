"""The kind agent by contract: an upgrade that is carried out while the agent that asked for it goes away."""

from collections.abc import Iterator

import pytest

from tests.agent.prefix import CONTROL, CUT, Prefix, archive, digest_of, end_processes, scratch
from tests.middleware import Package
from tests.scripts.calling import SCRIPTS, Service


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with scratch() as made:
        yield made


def wanted(prefix: Prefix, version: str, behaviour: str = "serve", **parameters: str) -> Service:
    """The service agent as a document wants it."""
    path = archive(prefix.folder, version, behaviour)
    package = Package(name="towline-agent", version=version, path=path, digest=f"sha256:{digest_of(path)}")
    return Service(
        kind="agent",
        name="agent",
        folder=prefix.folder,
        version=version,
        packages={"release": package},
        parameters={"trial_timeout": "5m", **parameters},
    )


class Impatient(Service):
    """Calls that may take a few seconds only."""

    @classmethod
    def of(cls, service: Service) -> "Impatient":
        """The same service."""
        made = cls(kind=service.kind, name=service.name, folder=service.folder, version=service.version)
        made.packages, made.parameters = service.packages, service.parameters
        return made

    def environment(self) -> dict[str, str]:
        """With the caller's time limit."""
        return {**super().environment(), "TOWLINE_TIMEOUT_S": "9"}


def running(prefix: Prefix) -> Service:
    """Version 1.0 installed and serving."""
    one = wanted(prefix, "1.0")
    one.do("install", "configure", "start")
    return one


def test_an_upgrade_is_on_trial_until_it_has_proved_itself(prefix: Prefix) -> None:
    """install, configure, restart: the new one runs, good is still the old one, and looking says so."""
    one = running(prefix)
    old = prefix.leads("good")
    two = wanted(prefix, "2.0")
    assert ["1", "0", "1"] == [two.do(verb).changed for verb in ("install", "configure", "restart")]
    new = prefix.leads("current")
    said = two.status()
    assert ("running", "2.0", f"release {new} is on trial") == tuple(
        said.facts[n] for n in ("state", "version", "reason")
    )
    assert (old, new) == (prefix.leads("good"), prefix.facts("trial")["release"])
    assert "300" == prefix.facts("trial")["timeout_s"]
    assert [f"release {new} has proved itself"] == prefix.heal()
    assert ("", "2.0") == (two.status().facts.get("reason", ""), one.status().facts["version"])


def test_restart_again_changes_nothing(prefix: Prefix) -> None:
    """What runs is of the wanted release: the same process goes on."""
    running(prefix)
    two = wanted(prefix, "2.0")
    two.do("install", "configure", "restart")
    identity = two.status().identity
    assert ("0", identity) == (two.do("restart").changed, two.status().identity)


def test_install_and_configure_disturb_nothing(prefix: Prefix) -> None:
    """Releases stand side by side: what runs is what ran."""
    one = running(prefix)
    before = one.status().out
    wanted(prefix, "2.0").do("install", "configure")
    assert before == one.status().out


def test_the_trials_time_is_the_documents(prefix: Prefix) -> None:
    """`trial_timeout` as configure recorded it."""
    running(prefix)
    wanted(prefix, "2.0", trial_timeout="90s").do("install", "configure", "restart")
    assert "90" == prefix.facts("trial")["timeout_s"]


def test_one_that_does_not_start_fails_the_step_and_is_undone(prefix: Prefix) -> None:
    """The step says what it saw; self_healing goes back; the release is not installed again, with the reason."""
    running(prefix)
    two = wanted(prefix, "2.0", "crash")
    two.do("install", "configure")
    said = Impatient.of(two).call("restart")
    assert (1, True) == (said.code, "does not start: ImportError" in said.reason)
    prefix.write("trial", **prefix.facts("trial") | {"uptime_s": 0})
    prefix.heal()
    assert "1.0" == two.status().facts["version"]
    said = two.call("install")
    words = "was undone and is not tried again: did not start or did not keep running"
    assert (6, True) == (said.code, words in said.reason)
    assert 6 == two.call("restart").code


def test_an_undecided_refusal_is_retried(prefix: Prefix) -> None:
    """Exit 1: the puller tries again later, and again, until it is decided."""
    running(prefix)
    two = wanted(prefix, "2.0", "no-report")
    two.do("install", "configure", "restart")
    prefix.write("trial", **prefix.facts("trial") | {"uptime_s": 0})
    (prefix.path / "backend-away").touch()
    prefix.heal()
    said = two.call("install")
    assert (1, True) == (said.code, "not decided yet" in said.reason)
    (prefix.path / "backend-away").unlink()
    prefix.heal()
    assert 6 == two.call("install").code


def test_back_to_the_proven_release_is_no_trial(prefix: Prefix) -> None:
    """The document goes back while the new one is on trial: at once, and the trial is over."""
    one = running(prefix)
    wanted(prefix, "2.0").do("install", "configure", "restart")
    assert "1" == one.do("install", "configure", "restart").changed
    assert ("1.0", False) == (one.status().facts["version"], (prefix.agent / "trial").exists())


def test_another_version_during_a_trial_comes_from_the_proven_one(prefix: Prefix) -> None:
    """What it would go back to is the last release that proved itself."""
    running(prefix)
    old = prefix.leads("good")
    wanted(prefix, "2.0", "hang").do("install", "configure", "restart")
    wanted(prefix, "3.0").do("install", "configure", "restart")
    assert (old, old) == (prefix.facts("trial")["from"], prefix.leads("good"))


def test_the_version_is_the_packages(prefix: Prefix) -> None:
    """A document that says another one is wrong."""
    one = wanted(prefix, "1.0")
    one.version = "1.1"
    said = one.call("install")
    assert (6, "the package holds version 1.0, the document says 1.1") == (said.code, said.reason)


def test_a_puller_from_elsewhere_is_not_upgraded(prefix: Prefix) -> None:
    """What agentctl.sh did not install is not its to change; nothing is laid."""
    (prefix.agent / "installed").unlink()
    one = wanted(prefix, "1.0")
    said = one.call("install")
    assert (5, True) == (said.code, "was not installed by agentctl.sh" in said.reason)
    assert [] == list(prefix.agent.glob("releases/*"))


def test_a_damaged_release_is_laid_again(prefix: Prefix) -> None:
    """A file of it was changed: install says changed, and it is whole."""
    one = running(prefix)
    release = prefix.agent / "releases" / prefix.leads("current")
    before = (release / "ctl/agentctl.sh").read_bytes()
    (release / "ctl/agentctl.sh").write_text("# damaged\n")
    assert "1" == one.do("install").changed
    assert before == (release / "ctl/agentctl.sh").read_bytes()


def test_a_step_killed_at_any_change_is_ended(prefix: Prefix) -> None:
    """Killed before each command of restart that changes anything: the step again, and self_healing, bring it about."""
    for number in range(1, 20):
        with scratch() as made:
            running(made)
            two = wanted(made, "2.0")
            two.do("install", "configure")
            over = _restart_until_cut(made, two, number)
            made.heal()
            two.do("restart")
            made.heal()
            made.heal()
            found = (made.leads("current"), made.leads("good"), (made.runs() or (0, ""))[1])
            assert {"2.0"} == {release.rpartition("-")[0] for release in found}, f"cut at {number}: {found}"
            end_processes(made.folder)
            if over:
                assert number > 3
                return
    raise AssertionError("it never came to its end")


def test_an_operator_who_stopped_it_is_not_overruled(prefix: Prefix) -> None:
    """start by contract says so."""
    one = running(prefix)
    prefix.hand("stop")
    said = one.call("start")
    assert (1, True) == (said.code, said.reason.startswith("an operator stopped the agent: by "))
    assert "an operator stopped the agent" == one.status().facts["reason"]


def _restart_until_cut(prefix: Prefix, service: Service, number: int) -> bool:
    """The step under the trap that kills; whether it came to its end."""
    text = CONTROL.read_text().replace("${here:-./}", f"{SCRIPTS}/")
    script = prefix.folder / "agentctl.sh"
    script.write_text(text.replace('\nrun_verb "$@"', f"\n{CUT}\nend={number}\ntrap cut DEBUG\nrun_verb restart"))
    said = prefix.run(["bash", str(script)], service.environment())
    return said.returncode == 0
