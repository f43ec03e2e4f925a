"""token.sh: what a person pastes is read strictly, and never shown."""

import json
import os
import subprocess
import termios
from datetime import UTC, datetime
from pathlib import Path

import pytest

from desired_state.enrolment import JoinToken
from tests.agent.parts import Told, call, environment
from tests.agent.tokens import SECRET, line_of, token
from tests.scripts.calling import eventually

SHOW = 'take_token; read_token; for f in host backend_url agent_digest agent_size; do echo "$f=${WHO[$f]-}"; done'


def read(folder: Path, line: str) -> Told:
    return call(folder, SHOW, stdin=line.encode())


def test_token_of_the_backend_is_read(tmp_path: Path) -> None:
    """What JoinToken writes, bash reads: host, backend, and that no archive is named."""
    made = JoinToken(
        host="web-1.example",
        id="abcdefgh",
        secret=SECRET,
        backend_url="https://towline.example/base/",
        trust_digest="sha256:" + "a" * 64,
        expires_at=datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC),
    )
    told = read(tmp_path, made.encode())
    expected = "host=web-1.example\nbackend_url=https://towline.example/base\nagent_digest=\nagent_size=\n"
    assert (0, expected) == (told.code, told.out), told.err


def test_fields_of_the_agent_are_read(tmp_path: Path) -> None:
    """The archive's digest and size, in whatever order they come."""
    told = read(tmp_path, token(agent_size=123, agent_digest="sha256:" + "b" * 64, agent_version="1.2.3"))
    assert (0, True) == (told.code, f"agent_digest={'b' * 64}\nagent_size=123\n" in told.out), told.err


def test_space_around_it_is_no_part_of_it(tmp_path: Path) -> None:
    """As pasted: with line ends, blanks, and Windows' line end."""
    told = read(tmp_path, f"\n  {token()} \r\n\n")
    assert (0, True) == (told.code, "host=vm1" in told.out), told.err


def test_token_from_a_file(tmp_path: Path) -> None:
    """--token-file names a file, or - for standard input; what is not there is said."""
    (tmp_path / "token").write_text(token())
    assert 0 == call(tmp_path, f"OPTIONS[token-file]='{tmp_path}/token'; {SHOW}").code
    missing = call(tmp_path, f"OPTIONS[token-file]='{tmp_path}/none'; {SHOW}")
    assert (2, True) == (missing.code, "there is no file" in missing.err)


@pytest.mark.parametrize("cut", [1, 2, 3, 4, 40, 200])
def test_truncated_token_is_refused(tmp_path: Path, cut: int) -> None:
    """Wherever it was cut off: exit 2, and nothing of the secret is shown."""
    told = read(tmp_path, token()[:-cut])
    assert (2, True, False) == (told.code, "cut off or changed" in told.err, SECRET in told.all)


FOREIGN = {
    "something else": "hello",
    "a changed letter": token()[:60] + "!" + token()[61:],
    "two tokens": f"{token()}{token()}",
    "no JSON": line_of(b"\x00\x01\x02"),
    "JSON that is no object": line_of(b'["a"]'),
    "a field in a field": line_of(b'{"host":{"host":"vm1"}}'),
    "an escape": token(host='vm1","x":"'),
    "shell for a host": token(host="$(touch hacked)"),
    "shell for a digest": token(agent_digest="sha256:$(touch hacked)"),
    "an address of another kind": token("file:///etc/passwd"),
    "an option for an address": token("-o/etc/passwd"),
    "a blank in the address": token("https://a b"),
    "a size that is none": token(agent_size=-5),
    "no host": line_of(json.dumps({"backend_url": "http://x", "secret": SECRET}).encode()),
    "too much": "towline-join-1." + "A" * 20_000,
}


@pytest.mark.parametrize("what", FOREIGN)
def test_what_is_no_token_is_refused(tmp_path: Path, what: str) -> None:
    """Exit 2 with the reason; nothing of it is run or shown."""
    told = read(tmp_path, FOREIGN[what])
    assert (2, "", False) == (told.code, told.out, SECRET in told.all), told.err
    assert not list(tmp_path.rglob("hacked"))


def test_expiry_is_told_by_a_given_time(tmp_path: Path) -> None:
    """Seconds until it expires; less than nothing afterwards."""
    line = token(expires_at="2027-01-02T03:04:05Z")
    before = int(datetime(2027, 1, 2, 3, 4, 0, tzinfo=UTC).timestamp())
    code = f"take_token; read_token; token_left {before}; echo $REPLY; token_left {before + 65}; echo $REPLY"
    assert "5\n-60\n" == call(tmp_path, code, stdin=line.encode()).out


def test_secret_reaches_no_environment_and_no_file(tmp_path: Path) -> None:
    """What is started afterwards has it neither in its environment nor in its arguments, and no file has it."""
    told = call(tmp_path, "take_token; read_token; env; cat /proc/self/cmdline", stdin=token().encode())
    encoded = token().partition(".")[2][60:100]
    files = [path for path in tmp_path.rglob("*") if path.is_file() and encoded in path.read_text("utf-8", "replace")]
    assert (0, False, False, []) == (told.code, SECRET in told.all, encoded in told.all, files)


def enrolled(folder: Path, host: str = "vm1", url: str = "https://towline.example") -> None:
    prefix = folder / "prefix"
    for name in ("etc/puller.toml", "state/trust.note", "state/keys/identity"):
        (prefix / name).parent.mkdir(parents=True, exist_ok=True)
        (prefix / name).write_text("x")
    (prefix / "etc/puller.toml").write_text(f'host = "{host}"\nbackend_url = "{url}/"\n\n[source]\nhost = "other"\n')


def test_enrolment_is_found_and_told_apart(tmp_path: Path) -> None:
    """An enrolled host is the one that the token names, or another one."""
    enrolled(tmp_path)
    same = "is_enrolled vm1 https://towline.example && echo same || echo other"
    other = "is_enrolled vm2 https://towline.example && echo same || echo other"
    assert ("same\n", "other\n") == (call(tmp_path, same).out, call(tmp_path, other).out)


def test_half_an_enrolment_is_none(tmp_path: Path) -> None:
    """Settings without keys, as a cut off enrolment leaves them."""
    enrolled(tmp_path)
    (tmp_path / "prefix/state/keys/identity").unlink()
    assert "no\n" == call(tmp_path, "is_enrolled || echo no").out


def pending(folder: Path, token_id: str, *, begun: bool) -> None:
    """`enroll --force` was cut off: while it waited for its answer, or while it replaced the former identity."""
    state = folder / "prefix/state"
    (state / "keys.pending").mkdir()
    (state / "keys.pending/token").write_text(f"{token_id}\n")
    if not begun:
        (state / "keys/token").write_text("token-0000\n")


def test_an_enrolment_that_was_cut_off_while_it_replaced_another_is_none(tmp_path: Path) -> None:
    """What is here is of two identities: whoever looks must not take it for the former one."""
    enrolled(tmp_path)
    pending(tmp_path, "token-0001", begun=True)
    assert "no\n" == call(tmp_path, "is_enrolled || echo no").out


@pytest.mark.parametrize(("token_id", "goes_on"), [("token-0001", True), ("token-0002", False)])
def test_the_token_of_a_cut_off_enrolment_goes_on_with_it(tmp_path: Path, token_id: str, goes_on: bool) -> None:
    """The former identity is whole: it is enrolled, and only the token that was begun with enrols it again."""
    enrolled(tmp_path)
    pending(tmp_path, token_id, begun=False)
    code = "take_token; read_token; is_enrolled && echo enrolled; ! enrols || echo enrols"
    expected = "enrolled\nenrols\n" if goes_on else "enrolled\n"
    assert expected == call(tmp_path, code, stdin=token().encode()).out


def test_token_that_a_person_pastes_is_not_shown(tmp_path: Path) -> None:
    """At a terminal it is asked for, and does not appear on it."""
    call(tmp_path, SHOW)  # writes the driver
    ours, theirs = os.openpty()
    command = ["bash", str(tmp_path / "driver.sh")]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment(tmp_path)) as asking:
        os.close(theirs)
        shown = os.read(ours, 4096)
        assert eventually(20, lambda: not termios.tcgetattr(ours)[3] & termios.ECHO)
        os.write(ours, token().encode() + b"\n")
        while b"agent_size" not in shown:
            shown += os.read(ours, 4096)
        assert 0 == asking.wait(20)
    os.close(ours)
    assert (True, False) == (b"host=vm1" in shown, token()[40:80].encode() in shown)
