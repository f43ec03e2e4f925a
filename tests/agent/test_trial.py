"""A new release proves itself, or is undone and refused; whatever is cut off is brought to its end."""

from collections.abc import Iterator

import pytest

from tests.agent.prefix import Prefix, scratch

BAD = {
    "crash": "did not start or did not keep running within 300 s: ImportError: no module named towline",
    "hang": "ran, but did not answer on its socket within 300 s",
    "no-pass": "served, but completed no pass within 300 s",
    "no-report": "completed a pass, but no report of it was taken by the backend within 300 s",
}


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with scratch("cron") as made:
        made.environment["PATH"] = f"{made.folder}:/usr/bin:/bin"
        yield made


def run_trial(prefix: Prefix) -> None:
    """The release on trial gets its chance to run; its time is not up."""
    trial = prefix.facts("trial")
    prefix.write("trial", **trial | {"uptime_s": 10**9})
    prefix.heal()
    prefix.write("trial", **trial)


@pytest.mark.parametrize("behaviour", ["serve", "no-sink"])
def test_a_good_release_becomes_good(prefix: Prefix, behaviour: str) -> None:
    """It serves, completed a pass, and was heard, where there is anybody to hear it."""
    _, new = prefix.on_trial(behaviour, elapsed=False)
    prefix.heal()
    assert [f"release {new} has proved itself"] == prefix.heal()
    assert (new, new, False) == (prefix.leads("good"), prefix.leads("current"), (prefix.agent / "trial").exists())
    assert ([], new) == (prefix.heal(), (prefix.runs() or (0, ""))[1])


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_release_is_left_alone_until_its_time_is_up(prefix: Prefix, behaviour: str) -> None:
    """Slow is not bad."""
    old, new = prefix.on_trial(behaviour, elapsed=False)
    prefix.heal()
    prefix.heal()
    assert (new, old) == (prefix.leads("current"), prefix.leads("good"))
    assert (prefix.agent / "trial").exists()


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_release_is_undone_by_itself(prefix: Prefix, behaviour: str) -> None:
    """The old one runs again, and the new one is refused with words that help."""
    old, new = prefix.on_trial(behaviour)
    run_trial(prefix)
    said = prefix.heal()
    assert said[0].startswith(f"release {new} is undone, back to {old}: {BAD[behaviour]}")
    assert (old, old, False) == (prefix.leads("current"), prefix.leads("good"), (prefix.agent / "trial").exists())
    assert BAD[behaviour] in prefix.facts(f"refused/{new}")["reason"]
    assert old == (prefix.runs() or (0, ""))[1]


def test_could_not_report_is_decided_by_the_old_one(prefix: Prefix) -> None:
    """It can: so it was the release."""
    old, new = prefix.on_trial("no-report")
    (prefix.path / "backend-away").touch()
    run_trial(prefix)
    prefix.heal()
    assert "1" == prefix.facts(f"refused/{new}")["undecided"]
    assert [] == prefix.heal()
    (prefix.path / "backend-away").unlink()
    assert f"release {new} is refused: " in prefix.heal()[0]
    refused = prefix.facts(f"refused/{new}")
    assert ("the release before it could", False) == (refused["reason"].rpartition("; ")[2], "undecided" in refused)
    assert (old, []) == (prefix.leads("current"), prefix.heal())


def test_could_not_report_is_dropped_when_nobody_can(prefix: Prefix) -> None:
    """For as long again: the way to the backend was at fault, and the release may be tried again."""
    _, new = prefix.on_trial("serve")
    (prefix.path / "backend-away").touch()
    run_trial(prefix)
    prefix.heal()
    refused = prefix.facts(f"refused/{new}")
    assert [] == prefix.heal()
    prefix.write(f"refused/{new}", **refused | {"uptime_s": 0})
    assert [f"release {new} may be tried again: the one before it cannot report either"] == prefix.heal()
    assert not (prefix.agent / "refused" / new).exists()


def test_a_full_disk_is_not_the_fault_of_the_release(prefix: Prefix) -> None:
    """It is left alone until there is room, and then it proves itself."""
    _, new = prefix.on_trial("serve")
    (prefix.path / "disk-full").touch()
    run_trial(prefix)
    assert ([], new, True) == (prefix.heal(), prefix.leads("current"), (prefix.agent / "trial").exists())
    (prefix.path / "disk-full").unlink()
    assert [f"release {new} has proved itself"] == prefix.heal()


def test_another_boot_counts_anew(prefix: Prefix) -> None:
    """A host that was off meanwhile has not used up the release's time."""
    _, new = prefix.on_trial("hang")
    prefix.write("trial", **prefix.facts("trial") | {"boot_id": "another"})
    prefix.heal()
    assert (new, True) == (prefix.leads("current"), int(prefix.facts("trial")["uptime_s"]) > 0)
    assert [] == prefix.heal()


def test_begun_and_not_switched_is_over(prefix: Prefix) -> None:
    """Power was lost after the note was written: the old one runs on, and the step is tried again by the puller."""
    old, _ = prefix.on_trial("serve")
    prefix.point("current", old)
    assert [f"the agent did not run: started ({old})"] == prefix.heal()
    assert not (prefix.agent / "trial").exists()


def test_a_damaged_note_is_taken_away(prefix: Prefix) -> None:
    """Whatever is in it."""
    prefix.on_trial("serve")
    (prefix.agent / "trial").write_bytes(b"\x00\xffrelease\n$(touch canary)\n")
    assert "the note of a trial was damaged: taken away" in prefix.heal()
    assert not (prefix.agent / "trial").exists()


def test_with_nothing_to_go_back_to_it_stays(prefix: Prefix) -> None:
    """The only release there is runs on."""
    old, new = prefix.on_trial("no-pass")
    prefix.functions(f"remove_below 'agent/releases/{old}'")
    assert f"release {new} did not prove itself, and there is no other one to go back to" in prefix.heal()
    assert (new, False) == (prefix.leads("good"), (prefix.agent / "trial").exists())


@pytest.mark.parametrize(("behaviour", "ends_with"), [("crash", "old"), ("no-pass", "old"), ("serve", "new")])
def test_power_loss_anywhere_is_brought_to_an_end(behaviour: str, ends_with: str) -> None:
    """Killed before each command that changes anything, self_healing ends the trial the next time, the same way."""
    for number in range(1, 60):
        with scratch() as prefix:
            old, new = prefix.on_trial(behaviour)
            run_trial(prefix)
            if ends_with == "new":
                prefix.point("good", old)
            over = prefix.functions_until_cut(number, "hand_self_healing")
            for _ in range(2):
                prefix.heal()
            wanted = {"old": old, "new": new}[ends_with]
            found = (prefix.leads("current"), prefix.leads("good"), (prefix.runs() or (0, ""))[1])
            assert (wanted, wanted, wanted) == found, f"cut at {number}"
            assert not (prefix.agent / "trial").exists()
            assert (ends_with == "old") == (prefix.agent / "refused" / new).exists()
            assert [] == [path.name for path in prefix.agent.rglob("*.new")]
            if over:
                assert number > 3
                return
    raise AssertionError("it never came to its end")
