"""The whole puller with real scripts under a scratch prefix: the commands, and what they leave on the disk."""

from pathlib import Path

from tests.fakes.puller import running
from tests.fakes.real_host import RealHost, real_host


def told(host: RealHost, *arguments: str) -> tuple[int, str]:
    process = host.command(*arguments)
    out, err = process.communicate(timeout=60)
    return process.returncode, out + err


def test_once_brings_the_host_to_its_document(tmp_path: Path) -> None:
    """`once` installs, configures and starts, and says that the host is ready."""
    host = real_host(tmp_path)
    host.publish(running("one"), running("two", depends_on=("one",)))
    code, out = told(host, "once")
    assert (0, True) == (code, "ready (Converged)" in out), out
    assert "running" == (host.prefix / "services/two/state").read_text()


def test_plan_tells_and_changes_nothing(tmp_path: Path) -> None:
    """`plan` prints the steps in order with exit code 2, and leaves no trace on services and record."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    code, out = told(host, "plan")
    assert 2 == code, out
    assert ["install", "configure", "start"] == [line.split()[1] for line in out.splitlines()[1:]]
    assert [] == host.calls()
    assert "no pass was ever made" in told(host, "status")[1]


def test_plan_of_a_converged_host_is_empty(tmp_path: Path) -> None:
    """After a pass there is nothing to do, and the exit code says so."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    told(host, "once")
    assert (0, "revision 1: nothing to do\n") == told(host, "plan")


def test_status_says_what_is_wrong_and_what_to_do(tmp_path: Path) -> None:
    """A refused document shows its reason and an advice, with the exit code for 'needs a person'."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    told(host, "once")
    host.publish(running("one"), host="other.example")
    told(host, "once")
    code, out = told(host, "status")
    assert (2, True, True) == (code, "WrongHost" in out, "what to do" in out), out


def test_suspend_and_resume(tmp_path: Path) -> None:
    """A suspended host repairs nothing and is not green; a resumed one is repaired by its next pass."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    told(host, "once")
    state = host.prefix / "services/one/state"
    told(host, "suspend", "--reason", "disk swap", "--for", "2h")
    state.write_text("stopped")
    (host.prefix / "services/one/config").write_text("edited")
    code, out = told(host, "once")
    assert (1, "stopped", True) == (code, state.read_text(), "disk swap" in out), out
    told(host, "resume")
    assert 0 == told(host, "once")[0]
    assert "running" == state.read_text()


def test_a_swapped_script_is_not_run(tmp_path: Path) -> None:
    """A script changed by hand in the unpacked bundle is put right from the verified archive before it is used."""
    host = real_host(tmp_path)
    host.publish(running("one"))
    told(host, "once")
    script = next((host.prefix / "bundles").glob("*/trivialctl.sh"))
    script.chmod(0o755)
    script.write_text(f"touch {tmp_path}/owned\n")
    (host.prefix / "services/one/state").write_text("stopped")
    assert 0 == told(host, "once")[0]
    assert not (tmp_path / "owned").exists()


def test_settings_tell_every_problem_at_once(tmp_path: Path) -> None:
    """Two wrong settings are two lines, each with its key."""
    host = real_host(tmp_path)
    host.paths.settings.write_text('host = "Not A Host"\nbackend_url = 7\nnonsense = 1\n')
    code, out = told(host, "once")
    assert 1 == code
    assert [True, True, True] == [key in out for key in (": host: ", ": backend_url: ", ": nonsense: ")], out
