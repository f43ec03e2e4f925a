"""Secrets on the host: opened for a step and nobody else, gone with it, and told by nothing that it leaves."""

import base64
import os
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

from desired_state.document import SealedSecret, Service
from desired_state.sealing import seal
from puller.calls.redaction import StepRedactor
from puller.identity import load_keys
from puller.ports import Stalled
from puller.secret_folder import SecretFolder
from tests.core.publisher import HOST
from tests.fakes.puller import running
from tests.fakes.real_host import SCRIPT, RealHost, real_host

VALUE = 'canary-"91f2\\ü/+=&'
READS_IT = SCRIPT.replace(
    "configure)",
    r"""configure)
    sleep "${TOWLINE_PARAM_p_none:-0}"
    stat -c '%a' "$TOWLINE_SECRET_password" "${TOWLINE_SECRET_password%/*}" >"$dir/modes"
    cp --no-preserve=mode "$TOWLINE_SECRET_password" "$dir/password.conf"
    printf 'password is %s\n' "$(<"$TOWLINE_SECRET_password")" >&2
    printf 'reason: refused %s\n' "$(base64 -w0 "$TOWLINE_SECRET_password")" >&2
    printf 'note=%s\n' "$(<"$TOWLINE_SECRET_password")"
    """,
)
"""Takes the secret where it belongs, and tells it to everybody."""


def sealed(host: RealHost, value: str = VALUE, *, name: str = "main", version: int = 1) -> SealedSecret:
    """A version of a secret, sealed to that host."""
    key = load_keys(host.paths.keys).sealing.public_key()
    return seal(value.encode(), host=HOST, name=name, version=version, key=key)


def with_secret(host: RealHost, **fields: object) -> Service:
    """A service with a password."""
    return running("one", secrets={"password": sealed(host)}, **fields)


def laid_out(host: RealHost) -> list[Path]:
    """What lies in memory for this prefix, its own folder too."""
    there = [folder for folder in SecretFolder(host.prefix)._folders if folder.exists()]
    return [path for folder in there for path in (folder, *folder.rglob("*"))]


def found(host: RealHost, value: str = VALUE) -> set[str]:
    """Files of the host, and of what it reported, in which the value stands in any form."""
    data = value.encode()
    forms = [data, base64.b64encode(data)[:-4], data.hex().encode(), quote(value, safe="").encode()]
    files = [path for root in (host.prefix, host.reports) for path in root.rglob("*") if path.is_file()]
    return {path.name for path in files if any(form in path.read_bytes() for form in forms)}


def test_a_step_finds_the_secret_in_a_file_of_its_own(tmp_path: Path) -> None:
    """Readable by this user alone; once the step has ended nothing is left in memory."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish(with_secret(host))
    host.one_pass()
    place = host.prefix / "services" / "one"
    assert VALUE == (place / "password.conf").read_text()
    assert ["400", "700"] == (place / "modes").read_text().split()
    assert [] == laid_out(host)


def test_nothing_that_a_step_leaves_tells_the_secret(tmp_path: Path) -> None:
    """Not its log, its receipt, the database, the report: though the script printed it in every way it knows."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish(with_secret(host))
    host.one_pass()
    assert {"password.conf"} == found(host)
    told = [step for report in host.delivered() for step in report.run.steps if step.verb == "configure"]
    log = "password is [secret main]\nreason: refused [secret main]"
    assert [(log, True)] == [(step.log[: len(log)], step.message.startswith("refused [secret main]")) for step in told]


def test_the_record_has_the_version(tmp_path: Path) -> None:
    """The report too; another version is a change that restarts, and its reason is told."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish(with_secret(host))
    host.one_pass()
    host.publish(running("one", secrets={"password": sealed(host, "rotated value", version=2)}))
    host.one_pass()
    last = host.delivered()[-1]
    recorded = last.status.services[0].recorded
    assert recorded is not None
    assert ["main v2"] == [str(secret) for secret in recorded.secrets.values()]
    assert {"secret password: version 1 -> 2"} == {reason for step in last.run.steps for reason in step.reasons}
    assert ["configure", "restart"] == [str(step.verb) for step in last.run.steps]
    assert {"password.conf"} == found(host, "rotated value")


@pytest.mark.parametrize("point", ["after_step_spawned:2", "before_step_started:2", "after_step_ended:2"])
def test_a_puller_that_dies_leaves_the_step_its_secret(tmp_path: Path, point: str) -> None:
    """The step goes on under its keeper and ends well; the next puller records it, and nothing is left anywhere."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish(with_secret(host, parameters={"p_none": "1"}))
    host.one_pass(TOWLINE_CRASH_AT=point)
    if point.startswith("after_step_spawned"):
        assert ["password"] == [path.name for path in laid_out(host) if path.is_file()]
    host.one_pass()
    assert VALUE == (host.prefix / "services/one/password.conf").read_text()
    assert 1 == [call[:3] for call in host.calls()].count(["end", "one", "configure"])
    assert ([], {"password.conf"}) == (laid_out(host), found(host))


def test_the_keeper_removes_the_files_where_no_puller_comes(tmp_path: Path) -> None:
    """The puller is dead, and nobody starts it: once the step has ended its secrets are gone all the same."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish(with_secret(host, parameters={"p_none": "1"}))
    host.one_pass(TOWLINE_CRASH_AT="after_step_spawned:2")
    deadline = time.monotonic() + 30
    while any(path.is_file() for path in laid_out(host)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [] == [path for path in laid_out(host) if path.is_file()]
    host.one_pass()
    assert ([], {"password.conf"}) == (laid_out(host), found(host))


def test_what_nobody_knows_any_more_is_swept(tmp_path: Path) -> None:
    """Files of a step that was never journalled go with the next pass."""
    host = real_host(tmp_path, script=READS_IT)
    host.publish()
    SecretFolder(host.prefix).lay_out("run/one-configure", {"password": b"forgotten"})
    host.one_pass()
    assert [] == laid_out(host)


def test_a_secret_that_is_not_sealed_to_this_host_stalls(tmp_path: Path) -> None:
    """With which secret it is; the script is not run."""
    host, other = real_host(tmp_path / "one", script=READS_IT), real_host(tmp_path / "other")
    host.publish(running("one", secrets={"password": sealed(other)}))
    host.one_pass()
    steps = [step for report in host.delivered() if report.run for step in report.run.steps]
    assert [("install", "failed")] == [(str(step.verb), step.outcome) for step in steps]
    assert f"secret main v1 is not sealed to this key of {HOST}: it cannot be opened" in steps[0].message
    assert [] == host.calls()


def test_the_version_before_is_taken_out_too(tmp_path: Path) -> None:
    """While a new password goes in, the script prints the old one, which it found in the file: nobody reads it."""
    prints_both = READS_IT.replace('sleep "${TOWLINE_PARAM_p_none:-0}"', 'cat "$dir/password.conf" >&2 || :')
    host = real_host(tmp_path, script=prints_both)
    host.publish(with_secret(host))
    host.one_pass()
    host.publish(running("one", secrets={"password": sealed(host, "rotated value", version=2)}))
    host.one_pass()
    assert (set(), {"password.conf"}) == (found(host), found(host, "rotated value"))
    step = next(step for step in host.delivered()[-1].run.steps if step.verb == "configure")
    assert step.log.startswith("[secret main]password is [secret main]\n"), step.log


def mounts(folder: Path, kind: str) -> Path:
    """A table of mounts in which that folder is one of that kind."""
    file = folder / "mountinfo"
    file.write_text(f"1 0 8:1 / / rw - ext4 /dev/sda rw\n2 1 0:2 / {folder} rw shared:1 - {kind} none rw\n")
    return file


@pytest.mark.parametrize(
    ("user", "runtime", "places"),
    [
        (0, "/run/user/0", ["/run", "/dev/shm"]),
        (1000, "/run/user/1000", ["/run/user/1000", "/dev/shm"]),
        (1000, "", ["/dev/shm"]),
    ],
)
def test_each_user_has_a_place(monkeypatch: pytest.MonkeyPatch, user: int, runtime: str, places: list[str]) -> None:
    """Root has /run, whoever is logged in the folder of that login, and everybody /dev/shm; two prefixes never meet."""
    monkeypatch.setattr(os, "geteuid", lambda: user)
    monkeypatch.setenv("XDG_RUNTIME_DIR", runtime)
    folders = [SecretFolder(Path(prefix))._folders for prefix in ("/opt/one", "/opt/two")]
    assert [places, places] == [[str(folder.parent) for folder in some] for some in folders]
    assert set(folders[0]).isdisjoint(folders[1])


def test_a_disk_is_refused(tmp_path: Path) -> None:
    """What is written to a disk can be read from it later; the words say what was looked at."""
    folder = SecretFolder(tmp_path, places=[tmp_path / "none", tmp_path], mounts=mounts(tmp_path, "ext4"))
    with pytest.raises(Stalled, match=f"neither {tmp_path}/none nor {tmp_path} is a tmpfs here"):
        folder.lay_out("run/step", {"password": b"value"})
    assert ["mountinfo"] == os.listdir(tmp_path)


@pytest.mark.parametrize("kind", ["link", "open"])
def test_a_folder_of_somebody_else_is_refused(tmp_path: Path, kind: str) -> None:
    """Everybody may write to /dev/shm, and knows our folder's name."""
    folder = SecretFolder(tmp_path, places=[tmp_path], mounts=mounts(tmp_path, "tmpfs"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if kind == "link":
        folder._folders[0].symlink_to(elsewhere)
    else:
        folder._folders[0].mkdir()
        folder._folders[0].chmod(0o755)
    with pytest.raises(Stalled, match="is not this user's alone"):
        folder.lay_out("run/step", {"password": b"value"})
    assert [] == list(elsewhere.iterdir())


# how it is written, and how much of that may stay beside the mark: base64 at the edges is not the secret's alone
FORMS: dict[str, tuple[Callable[[bytes], bytes], int]] = {
    "as it is": (lambda value: value, 0),
    "base64": (base64.b64encode, 3),
    "base64 for URLs": (base64.urlsafe_b64encode, 3),
    "behind a name in base64": (lambda value: base64.b64encode(b"user:" + value), 7),
    "before more in base64": (lambda value: base64.b64encode(value + b" and more"), 15),
    "hex": (lambda value: value.hex().encode(), 0),
    "in a URL": (lambda value: quote(value, safe="").encode(), 0),
    "in a configuration file": (lambda value: value.replace(b"\\", b"\\\\").replace(b'"', b'\\"'), 0),
}


@pytest.mark.parametrize(("form", "stays"), FORMS.values(), ids=FORMS.keys())
def test_every_form_of_a_secret_is_taken_out(form: Callable[[bytes], bytes], stays: int) -> None:
    """As it is, base64 at every place, hex, quoted for a URL or for a configuration file."""
    shown = StepRedactor([("main", VALUE.encode())])(b"before " + form(VALUE.encode()) + b" after")
    assert (1, True) == (shown.count(b"[secret main]"), shown.startswith(b"before ") and shown.endswith(b" after"))
    assert len(b"before [secret main] after") + stays == len(shown), shown


def test_each_line_of_a_secret_is_taken_out() -> None:
    """A file of properties is logged line by line."""
    redact = StepRedactor([("main", b"user=orders\npassword=hunter22\n")])
    assert b"loaded [secret main] and [secret main]" == redact(b"loaded password=hunter22 and user=orders")


def test_what_is_no_secret_stays() -> None:
    """Byte for byte."""
    assert bytes(range(256)) == StepRedactor([("main", VALUE.encode())])(bytes(range(256)))
