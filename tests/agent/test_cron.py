"""The agent kept by cron: our lines and nobody else's; and the agent in a session of its own."""

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.agent.prefix import OTHERS, Prefix, kept_by_cron


@pytest.fixture
def prefix() -> Iterator[Prefix]:
    with kept_by_cron() as made:
        yield made


def crontab(prefix: Prefix) -> str | None:
    path = prefix.folder / "crontab.text"
    return path.read_text() if path.exists() else None


def test_other_lines_stay_byte_for_byte(prefix: Prefix) -> None:
    """While ours come, and after they went."""
    (prefix.folder / "crontab.text").write_text(OTHERS)
    prefix.functions("mode=cron; keep_install")
    assert (crontab(prefix) or "").startswith(OTHERS)
    assert f"* * * * * /bin/sh '{prefix.agent}/self_healing' >/dev/null 2>&1" in (crontab(prefix) or "").splitlines()
    prefix.functions("known_mode; keep_remove")
    assert OTHERS == crontab(prefix)


def test_a_crontab_that_was_not_there_is_not_there_again(prefix: Prefix) -> None:
    """Not even an empty one."""
    prefix.functions("mode=cron; keep_install")
    assert crontab(prefix)
    prefix.functions("known_mode; keep_remove")
    assert crontab(prefix) is None


def test_a_second_time_changes_nothing(prefix: Prefix) -> None:
    """One pair of marks, however often."""
    assert "1\n" == prefix.functions('mode=cron; keep_install; say "$REPLY"').stdout
    first = crontab(prefix)
    assert "0\n" == prefix.functions('mode=cron; keep_install; say "$REPLY"').stdout
    assert (first, 3) == (crontab(prefix), len((first or "").splitlines()))


def test_an_edited_line_is_put_right(prefix: Prefix) -> None:
    """Between the marks everything is ours; beside them nothing is."""
    prefix.functions("mode=cron; keep_install")
    wanted = crontab(prefix) or ""
    (prefix.folder / "crontab.text").write_text(wanted.replace("* * * * *", "0 0 1 1 *") + "@daily mine\n")
    prefix.functions("mode=cron; keep_install")
    assert "@daily mine\n" + wanted == crontab(prefix)


def test_two_prefixes_have_their_own_lines(prefix: Prefix) -> None:
    """Removing one leaves the other's."""
    prefix.functions("mode=cron; keep_install")
    other = f"the_prefix '{prefix.folder}/other'; mkdir -p \"$agent\"; mode=cron; keep_install"
    prefix.functions(other)
    prefix.functions("known_mode; keep_remove")
    assert f"{prefix.folder}/other/agent" in (crontab(prefix) or "")
    assert f"{prefix.agent}/" not in (crontab(prefix) or "")


def test_a_crontab_that_cannot_be_read_is_not_overwritten(prefix: Prefix) -> None:
    """Nobody's lines are lost."""
    (prefix.folder / "crontab.text").write_text(OTHERS)
    (prefix.folder / "crontab.text.locked").touch()
    with pytest.raises(AssertionError, match="cannot be read: not allowed"):
        prefix.functions("mode=cron; keep_install")
    assert OTHERS == crontab(prefix)


def test_odd_paths_survive_cron_and_sh(prefix: Prefix) -> None:
    """For cron a percent sign ends the line."""
    said = prefix.functions('agent="/a b/50%/it\'s"; cron_command').stdout
    assert "/bin/sh '/a b/50\\%/it'\\''s/self_healing' >/dev/null 2>&1" == said


def test_as_root_the_usual_prefix_has_a_file_of_its_own(prefix: Prefix) -> None:
    """In a mount namespace, so that it is the real path: made, and gone without a trace."""
    if os.geteuid() != 0 or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("needs root and mount namespaces")
    code = (
        "the_prefix /opt/towline; mkdir -p /etc/cron.d /opt/towline; mount -t tmpfs none /etc/cron.d; "
        'mount -t tmpfs none /opt/towline; mkdir -p "$agent"; mode=cron; keep_install; cat /etc/cron.d/towline; '
        "keep_remove; ls -A /etc/cron.d"
    )
    prefix.environment["PATH"] = f"{prefix.folder}/bin:{prefix.environment['PATH']}"
    script = prefix.folder / "bin"
    script.mkdir()
    bash = script / "bash"
    bash.write_text(f'#!/bin/sh\nexec unshare -m {shutil.which("bash", path="/usr/bin:/bin")} "$@"\n')
    bash.chmod(0o755)
    said = prefix.functions(code).stdout.splitlines()
    assert ["* * * * * root /bin/sh '/opt/towline/agent/self_healing' >/dev/null 2>&1"] == said[1:]


def test_the_agent_gets_nothing_of_the_caller(prefix: Prefix) -> None:
    """An own session, no variable of ours but the proxies that were kept, no descriptor, no lock."""
    prefix.installed()
    (prefix.path / "etc").mkdir()
    (prefix.path / "etc" / "proxy.env").write_text('https_proxy="http://me:p\\"w@proxy:3128"\nLD_PRELOAD=/evil.so\n')
    prefix.environment["CANARY"] = "1"
    prefix.heal()
    pid, _ = prefix.runs() or (0, "")
    environ = _environ(pid)
    assert {"PATH", "LANG", "HOME", "https_proxy"} == environ.keys() - {"PWD", "SHLVL", "_", "OLDPWD"}
    assert 'http://me:p"w@proxy:3128' == environ["https_proxy"]
    assert pid == os.getsid(pid)
    held = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert [] == [
        path for path in held if path.startswith(str(prefix.agent)) and not path.endswith("bin/towline-puller")
    ]


def test_the_log_is_turned_over(prefix: Prefix) -> None:
    """At 10 MiB, three kept, and what is written goes on into the same file."""
    prefix.installed()
    log = prefix.path / "log" / "puller.log"
    log.parent.mkdir()
    for turn in range(5):
        with log.open("w") as file:
            file.write(f"{turn}\n")
            file.truncate(10 * 1024 * 1024)
        prefix.functions("turn_log")
    assert ["puller.log", "puller.log.1", "puller.log.2", "puller.log.3"] == sorted(os.listdir(log.parent))
    firsts = [(log.parent / f"puller.log.{number}").open().readline().strip() for number in (1, 2, 3)]
    assert (["4", "3", "2"], 0) == (firsts, log.stat().st_size)


def _environ(pid: int) -> dict[str, str]:
    with open(f"/proc/{pid}/environ") as file:
        return dict(line.split("=", 1) for line in file.read().split("\0") if line)
