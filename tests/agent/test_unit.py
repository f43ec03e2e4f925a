"""Who keeps the agent, and the units that systemd gets. They run on real systemd in tests/vm; here is their text."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.prefix import Prefix, scratch

SYSTEMCTL = """#!/bin/sh
echo "$*" >>"${0%/*}/systemctl.said"
"""


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with scratch("systemd") as made:
        program = made.folder / "systemctl"
        program.write_text(SYSTEMCTL)
        program.chmod(0o755)
        made.environment["PATH"] = f"{made.folder}:/usr/bin:/bin"
        (made.folder / "units").mkdir()
        yield made


def systemd(prefix: Prefix, code: str, mode: str = "systemd") -> str:
    """Runs lines of bash with units in a scratch folder and a systemctl that only notes."""
    folder = f"agent_unit_folder() {{ REPLY={prefix.folder}/units; }}\ncron_remove() {{ :; }}\nmode={mode}\n"
    return prefix.functions(folder + code).stdout


def told(prefix: Prefix) -> list[str]:
    """What systemctl was told since the last time."""
    said = prefix.folder / "systemctl.said"
    lines = said.read_text().splitlines() if said.exists() else []
    said.unlink(missing_ok=True)
    return lines


@pytest.mark.parametrize(("word", "mode"), [("root", "systemd"), ("user", "user"), ("none", "none")])
def test_the_keeper_file_overrules(prefix: Prefix, word: str, mode: str) -> None:
    """An operator says who keeps what is below a prefix."""
    (prefix.path / "keeper").write_text(f"{word}\n")
    assert mode == prefix.functions('find_mode; say "$mode"').stdout.strip()


def test_without_cron_nobody_keeps_a_scratch_prefix(prefix: Prefix) -> None:
    """Its unit names could meet those of another; so cron it is, and what is missing there is said."""
    said = prefix.functions('PATH=/nowhere; find_mode || say "$mode: $REPLY"').stdout
    assert "cron: the agent would be kept alive by cron, and there is no command crontab: install cron\n" == said


def test_the_agents_unit(prefix: Prefix) -> None:
    """Watched, always started again without ever giving up, in its own slice, and its steps outlive it."""
    lines = systemd(prefix, "puller_unit_text").splitlines()
    start = f'ExecStart="{prefix.agent}/current/bin/towline-puller" --prefix "{prefix.path}" run'
    wanted = {start, "Type=notify", "NotifyAccess=main", "WatchdogSec=120", "Restart=always", "RestartSec=5"}
    wanted |= {"StartLimitIntervalSec=0", "KillMode=process", "Slice=towline-agent.slice", "NoNewPrivileges=yes"}
    assert wanted | {f"ConditionPathExists=!{prefix.agent}/stopped", "WantedBy=multi-user.target"} <= set(lines)


def test_a_users_unit_asks_for_nothing_that_needs_root(prefix: Prefix) -> None:
    """A user's manager cannot mount or drop capabilities."""
    text = systemd(prefix, "puller_unit_text", mode="user")
    assert "WantedBy=default.target" in text
    assert [] == [word for word in ("ProtectSystem", "CapabilityBoundingSet", "PrivateDevices") if word in text]


def test_odd_paths_are_quoted(prefix: Prefix) -> None:
    """Blank, percent, dollar, quote and backslash reach the program as they are."""
    said = prefix.functions("""unit_word '/a b/%n$x"y\\z'; say "$REPLY\"""").stdout.strip()
    assert '"/a b/%%n$$x\\"y\\\\z"' == said


def test_a_second_time_changes_nothing(prefix: Prefix) -> None:
    """No daemon-reload without need; REPLY says whether anything changed."""
    assert "1\n" == systemd(prefix, 'keep_install; say "$REPLY"')
    enabled = "enable --quiet towline-puller.service towline-self-healing.timer"
    assert ["daemon-reload", enabled, "start towline-self-healing.timer"] == told(prefix)
    assert "0\n" == systemd(prefix, 'keep_install; say "$REPLY"')
    assert [enabled, "start towline-self-healing.timer"] == told(prefix)


def test_removed_units_are_forgotten(prefix: Prefix) -> None:
    """Stopped, disabled, gone, reloaded, no failure remembered."""
    systemd(prefix, "keep_install")
    told(prefix)
    systemd(prefix, "remove_units")
    units = "towline-self-healing.timer towline-self-healing.service towline-puller.service"
    slices = [f"show --value -p ControlGroup {name}" for name in ("towline-agent.slice", "towline.slice")]
    assert [f"disable --quiet --now {units}", "daemon-reload", f"reset-failed {units}", *slices] == told(prefix)
    assert [] == list((prefix.folder / "units").iterdir())
    systemd(prefix, "remove_units")
    assert [] == told(prefix)


def test_a_unit_that_somebody_removed_is_there_again(prefix: Prefix) -> None:
    """By self_healing, which says so once; and the one that is there is not written."""
    systemd(prefix, "keep_install")
    units = prefix.folder / "units"
    text = (units / "towline-puller.service").read_text()
    kept = (units / "towline-self-healing.timer").stat().st_ino
    (units / "towline-puller.service").unlink()
    told(prefix)
    assert "self_healing: towline-puller.service was gone: there again\n" == systemd(prefix, "units_again")
    enabled = "enable --quiet towline-puller.service towline-self-healing.timer"
    assert ["daemon-reload", enabled, "start towline-self-healing.timer"] == told(prefix)
    assert (text, 0o644) == (
        (units / "towline-puller.service").read_text(),
        (units / "towline-puller.service").stat().st_mode & 0o777,
    )
    assert ("", [], kept) == (
        systemd(prefix, "units_again"),
        told(prefix),
        (units / "towline-self-healing.timer").stat().st_ino,
    )


@pytest.mark.parametrize("theirs", ["mask", "another"])
def test_units_that_others_have_taken_are_not_put_back(prefix: Prefix, theirs: str) -> None:
    """One that is masked, or of another prefix: what is missing beside it stays missing."""
    puller = prefix.folder / "units" / "towline-puller.service"
    if theirs == "mask":
        puller.symlink_to("/dev/null")
    else:
        puller.write_text('ExecStart="/opt/other/agent/current/bin/towline-puller" run\n')
    assert "" == systemd(prefix, "units_again")
    assert [puller.name] == [path.name for path in puller.parent.iterdir()]


def test_links_to_a_unit_that_somebody_removed_go_too(prefix: Prefix) -> None:
    """`disable` does not find them any more; those to a unit that is there, and of others, stay."""
    wants = prefix.folder / "units" / "multi-user.target.wants"
    wants.mkdir()
    for name, there in (("towline-puller.service", False), ("theirs.service", False), ("cron.service", True)):
        (wants / name).symlink_to(wants.parent / name)
        if there:
            (wants.parent / name).write_text("[Unit]\n")
    systemd(prefix, "remove_units")
    assert ["cron.service", "theirs.service"] == sorted(path.name for path in wants.iterdir())


SYSTEMCTL_WITHOUT_UNIT = """#!/bin/sh
case $1 in
  show) printf 'LoadState=not-found\\nActiveState=inactive\\n' ;;
  *) echo "Failed to $1 $2: Unit $2 not loaded." >&2; exit 5 ;;
esac
"""


def test_an_install_that_ended_before_its_unit_is_taken_away(prefix: Prefix) -> None:
    """As after a join that the backend refused: systemd does not know the unit, and uninstall leaves nothing."""
    prefix.lay("1.0")
    (prefix.agent / "installed").unlink()
    (prefix.path / "keeper").write_text("root\n")
    (prefix.folder / "systemctl").write_text(SYSTEMCTL_WITHOUT_UNIT)
    code = f"agent_unit_folder() {{ REPLY={prefix.folder}/units; }}; cron_remove() {{ :; }}; hand_uninstall"
    assert "the agent is uninstalled\n" == prefix.functions(code).stdout
    assert not prefix.path.exists()


def test_an_install_that_was_not_finished_cannot_be_started(prefix: Prefix) -> None:
    """Not `it said nothing`: what to do."""
    prefix.lay("1.0")
    (prefix.agent / "installed").unlink()
    for command in ("start", "restart"):
        told = prefix.hand(command)
        assert (5, True) == (told.returncode, "was not finished: paste the command" in told.stderr), told.stderr


def test_units_of_another_prefix_are_not_touched(prefix: Prefix) -> None:
    """Same names, another agent."""
    other = prefix.folder / "units" / "towline-puller.service"
    other.write_text('ExecStart="/opt/other/agent/current/bin/towline-puller" run\n')
    systemd(prefix, "remove_units")
    assert ([], True) == (told(prefix), other.exists())


def test_an_agent_older_than_its_unit_is_known(prefix: Prefix) -> None:
    """By the uptime of this boot, so a clock that was set does not matter."""
    systemd(prefix, "keep_install")
    ticks = "PULLER_START=$(((now + {add}) * $(getconf CLK_TCK)))"
    for add, said in ((-5, "older"), (5, "newer")):
        code = f"uptime_s; now=$REPLY; {ticks.format(add=add)}; unit_is_newer && say older || say newer"
        assert f"{said}\n" == systemd(prefix, code)


def test_what_timer_and_cron_run_is_plain_sh(prefix: Prefix) -> None:
    """It finds the script of the release that proved itself first, then any."""
    prefix.installed()
    systemd(prefix, "keep_install")
    text = (prefix.agent / "self_healing").read_text()
    assert "#!/bin/sh" == text.splitlines()[0]
    assert 'for of in "$agent/good" "$agent/current" "$agent/releases"/*; do' in text.splitlines()


def test_who_keeps_it_is_remembered(prefix: Prefix) -> None:
    """Other facts of the install stay."""
    (prefix.agent / "installed").write_text("mode=cron\nversion=1.0\n")
    systemd(prefix, "keep_install")
    assert {"mode": "systemd", "version": "1.0"} == prefix.facts("installed")


def test_folders_that_were_made_go_again(prefix: Prefix) -> None:
    """A user without any units had no folder for them."""
    units = prefix.folder / "home" / ".config" / "systemd" / "user"
    (prefix.folder / "home").mkdir()
    prefix.environment["HOME"] = str(prefix.folder / "home")
    prefix.functions("cron_remove() { :; }\nmode=user\nkeep_install")
    assert (units / "towline-puller.service").exists()
    prefix.functions("cron_remove() { :; }\nmode=user\nkeep_remove\nremove_made_folders")
    assert [] == list((prefix.folder / "home").iterdir())


def test_folders_that_others_use_stay(prefix: Prefix) -> None:
    """Also when they were made by us."""
    home = prefix.folder / "home"
    home.mkdir()
    prefix.environment["HOME"] = str(home)
    prefix.functions("cron_remove() { :; }\nmode=user\nkeep_install")
    own = home / ".config" / "other.conf"
    own.write_text("theirs\n")
    prefix.functions("cron_remove() { :; }\nmode=user\nkeep_remove\nremove_made_folders")
    assert [own] == [path for path in home.rglob("*") if path.is_file()]
    assert not Path(home / ".config" / "systemd").exists()
