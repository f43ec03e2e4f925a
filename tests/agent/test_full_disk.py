"""A disk that is full or read-only: self_healing says so, leaves nothing half, and goes on when that is over."""

from collections.abc import Iterator

import pytest

from tests.agent.prefix import Prefix, boot_id, scratch
from tests.servers.small_disk import SmallDisk, may_mount, small_disk

pytestmark = pytest.mark.skipif(not may_mount(), reason="needs a mount namespace")


class OnDisk(Prefix):
    """A prefix that is a small disk."""

    def __init__(self, made: Prefix, disk: SmallDisk) -> None:
        self.folder, self.path, self.environment = made.folder, disk.mount, made.environment
        self.disk, self.agent = disk, disk.outside / "agent"
        self.wrapped = disk.command
        self.agent.mkdir()
        (self.agent / "installed").write_text("mode=none\n")


@pytest.fixture
def prefix() -> Iterator[OnDisk]:
    with scratch() as made, small_disk(made.folder / "disk") as disk:
        yield OnDisk(made, disk)


def test_what_runs_well_is_left_in_peace(prefix: OnDisk) -> None:
    """Looking needs no room."""
    prefix.installed()
    prefix.heal()
    running = prefix.runs()
    prefix.disk.fill()
    assert ([], running) == (prefix.heal(), prefix.runs())
    prefix.disk.empty()


def test_what_hangs_is_not_restarted_without_evidence(prefix: OnDisk) -> None:
    """Three minutes cannot be counted; afterwards they are."""
    release = prefix.lay("1.0", "hang")
    prefix.point("current", release)
    prefix.point("good", release)
    prefix.heal()
    running = prefix.runs()
    (prefix.agent / "not_serving").unlink(missing_ok=True)
    prefix.disk.fill()
    prefix.heal()
    assert (running, False) == (prefix.runs(), (prefix.agent / "not_serving").exists())
    prefix.disk.empty()
    prefix.heal()
    assert (prefix.agent / "not_serving").exists()


def test_stop_that_cannot_be_written_down_stops_nothing(prefix: OnDisk) -> None:
    """It would be started again within a minute: said, and left as it is."""
    prefix.installed()
    prefix.heal()
    running = prefix.runs()
    prefix.disk.fill()
    said = prefix.hand("stop")
    assert said.returncode in (1, 4)
    assert "writ" in said.stderr
    assert running == prefix.runs()
    prefix.disk.empty()


def test_nothing_runs_on_a_read_only_prefix(prefix: OnDisk) -> None:
    """It is tried, and said, every minute; the first one after it can be written again succeeds."""
    release = prefix.installed()
    prefix.disk.remount("ro")
    for _ in range(2):
        assert prefix.heal()[0].startswith("the agent does not start: ")
    prefix.disk.remount("rw")
    assert [f"the agent did not run: started ({release})"] == prefix.heal()


def test_a_trial_on_a_read_only_prefix_waits(prefix: OnDisk) -> None:
    """Nothing can be decided, so nothing is; afterwards it is undone."""
    old, new = prefix.on_trial("crash")
    prefix.disk.remount("ro")
    assert "cannot be written: cannot go back" in " ".join(prefix.heal())
    assert (new, True) == (prefix.leads("current"), (prefix.agent / "trial").exists())
    prefix.disk.remount("rw")
    prefix.heal()
    assert (old, True) == (prefix.leads("current"), (prefix.agent / "refused" / new).exists())


def test_a_bad_release_is_undone_when_there_is_room_again(prefix: OnDisk) -> None:
    """Whatever could be done meanwhile: in the end the old one runs, and nothing half is left."""
    old, new = prefix.on_trial("no-pass")
    prefix.write("trial", **prefix.facts("trial") | {"uptime_s": 10**9})
    prefix.heal()
    prefix.write("trial", release=new, **{"from": old}, boot_id=boot_id(), uptime_s=0, timeout_s=300)
    prefix.disk.fill()
    said = " ".join(prefix.heal())
    assert "written" in said
    prefix.disk.empty()
    prefix.heal()
    prefix.heal()
    assert (old, old) == (prefix.leads("current"), (prefix.runs() or (0, ""))[1])
    assert not (prefix.agent / "trial").exists()
    assert [] == [path.name for path in prefix.agent.rglob("*.new")]
