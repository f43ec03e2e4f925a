"""agentctl.sh install, from the pasted command to the first pass, with a puller that is a stand-in."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from api.services.join_command import Way, pasted
from desired_state.joined_script import joined
from puller.kinds.traces import tree
from tests.agent import archives
from tests.agent.parts import SCRIPTS, Told, environment, run
from tests.agent.prefix import PULLER, archive, boot_id, end_processes
from tests.agent.tokens import SECRET, token
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import Exchange, HttpServer, serving
from tests.servers.small_disk import may_mount

needs_mounts = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount")

FILES = {path.relative_to(SCRIPTS).as_posix(): path.read_bytes() for path in SCRIPTS.rglob("*.sh")}
SHORT = (b"SERVING_WAIT_S=90", b"SERVING_WAIT_S=4")
"""How long a test waits for an agent that will not serve."""
AGENTCTL = joined("agentctl.sh", FILES).replace(*SHORT)


class Shop:
    """What the backend of a test gives out: by digest below /v1/agent, and that it is well."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.url = ""

    def keep(self, data: bytes) -> str:
        """Gives out these bytes from now on; their digest."""
        self.files[sha256(data).hexdigest()] = data
        return sha256(data).hexdigest()

    def answer(self, exchange: Exchange) -> None:
        """As the backend does."""
        path = urlsplit(exchange.target).path  # through a proxy the whole address is asked for
        name = path.rpartition("/")[2]
        if path == "/healthz":
            exchange.answer(200, b'{"status":"ok"}')
        elif path.startswith("/v1/agent/sha256/") and name in self.files:
            exchange.answer(200, self.files[name])
        else:
            exchange.answer(404)


class Host:
    """A scratch host whose agent nobody keeps but the test, and a backend."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.folder, self.shop = folder, shop
        self.prefix = folder / "prefix"
        self.prefix.mkdir()
        (self.prefix / "keeper").write_text("none\n")
        self.script = folder / "agentctl.sh"
        self.script.write_bytes(AGENTCTL)
        self.more: dict[str, str] = {}

    def offer(self, version: str, behaviour: str = "serve") -> str:
        """The backend has an archive of that version; the token of an invitation that names it."""
        return self.invite(archive(self.folder, version, behaviour))

    def invite(self, path: Path, **how: object) -> str:
        """The token of an invitation that names this archive, which the backend has."""
        self.shop.keep(path.read_bytes())
        url = str(how.pop("url", self.shop.url))
        return token(url, archive=path, agentctl=sha256(AGENTCTL).hexdigest(), **how)  # type: ignore[arg-type]

    def install(self, line: str, *options: str) -> Told:
        """By hand, with the token on standard input."""
        return run(self.command(*options), self.folder, stdin=line.encode(), more=self.more)

    def command(self, *options: str) -> list[str]:
        """The command by hand."""
        return ["bash", str(self.script), "install", "--prefix", str(self.prefix), *options]

    def release(self, link: str) -> str:
        """The version that a link leads to."""
        return (self.prefix / "agent" / link).readlink().name.partition("-")[0]

    def starts(self) -> list[str]:
        """Versions of the agents that were started so far."""
        path = self.prefix / "state/starts"
        return [line.partition("-")[0] for line in path.read_text().split()] if path.exists() else []

    def runs(self) -> str:
        """The version that runs, by what holds the lock."""
        lock = self.prefix / "state/lock"
        pid = lock.read_text().strip() if lock.exists() else ""
        if not pid or not Path(f"/proc/{pid}/cmdline").exists():
            return ""
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return next((Path(word).parents[1].name.partition("-")[0] for word in words if "/releases/" in word), "")

    def files(self) -> list[str]:
        """Everything below the prefix."""
        return [name for name in tree(self.prefix) if name != "keeper"]


@contextmanager
def new_host(tls: Authority | None = None) -> Iterator[tuple[Host, HttpServer]]:
    """A host and its backend, for the length of a test."""
    folder, shop = Path(tempfile.mkdtemp(prefix="towline-install-")), Shop()
    try:
        with serving(shop.answer, tls.server_tls() if tls else None) as server:
            shop.url = server.url
            yield Host(folder, shop), server
    finally:
        end_processes(folder)
        shutil.rmtree(folder)


@pytest.fixture
def host() -> Iterator[Host]:
    """A fresh host."""
    with new_host() as (made, _):
        yield made


def refused(host: Host, told: Told, code: int, words: str) -> None:
    """It ended so, nothing was run, and nothing is left, not even a folder."""
    assert (code, True, [], []) == (told.code, words in told.err, host.starts(), host.files()), told.err


def paste(host: Host, line: str, **way: str) -> Told:
    """What `towline host invite` prints, into a shell."""
    text = pasted(
        line,
        backend_url=host.shop.url,
        agentctl_hex=sha256(AGENTCTL).hexdigest(),
        way=Way(prefix=str(host.prefix), **way),
    )
    return run(["bash", "-c", text], host.folder, more=host.more)


def test_pasted_command(host: Host) -> None:
    """One paste: the agent runs, made its first pass, and its outcome is printed, with the time that it took."""
    host.shop.keep(AGENTCTL)
    told = paste(host, host.offer("1.0"))
    assert 0 == told.code, told.err
    assert ("1.0", "1.0", "1.0", ["1.0"]) == (host.release("current"), host.release("good"), host.runs(), host.starts())
    assert "first pass completed: Ready=True (Converged): all is as declared" in told.out
    assert "The agent 1.0 runs on this host as vm1 (none); this took " in told.out


def test_pasted_command_with_a_swapped_script(host: Host) -> None:
    """Whatever somebody serves under the digest of agentctl.sh: it is not run."""
    line = host.offer("1.0")
    host.shop.files[sha256(AGENTCTL).hexdigest()] = b"#!/bin/bash\ntouch %s/hacked\n" % str(host.prefix).encode()
    told = paste(host, line)
    assert (True, [], []) == (told.code != 0, host.files(), host.starts()), told.all
    assert [] == list((host.folder / "tmp").iterdir())


def test_token_is_left_nowhere(host: Host) -> None:
    """Not in a file, nor in the arguments or the environment of what was started."""
    host.shop.keep(AGENTCTL)
    line = host.offer("1.0")
    told = paste(host, line)
    assert 0 == told.code, told.err
    canaries = (SECRET, line[80:140])
    texts = {str(path): path.read_bytes().decode("latin-1") for path in host.folder.rglob("*") if path.is_file()}
    pid = (host.prefix / "state/lock").read_text().strip()
    texts |= {name: Path(f"/proc/{pid}/{name}").read_text() for name in ("environ", "cmdline")}
    texts["said"] = told.all
    assert "--token-file -" in texts[f"{host.prefix}/enrolment"]
    assert [] == [name for name, text in texts.items() if any(canary in text for canary in canaries)]


def test_script_that_the_token_does_not_name(host: Host) -> None:
    """A copy that was changed, or is of another version, says so and does nothing."""
    line = host.offer("1.0")
    host.script.write_bytes(AGENTCTL + b"# changed\n")
    refused(host, host.install(line), 6, "is not the one that the join token names")


def test_other_bytes_for_the_archive(host: Host) -> None:
    """The backend, or somebody between, gives other bytes of the same length."""
    line = host.offer("1.0")
    host.shop.files = {name: bytes(len(data)) for name, data in host.shop.files.items()}
    refused(host, host.install(line), 1, "REFUSED")


HOSTILE: dict[str, Callable[[Path], Path]] = {
    "leads out": lambda folder: archives.archive(
        folder, archives.release_files(), add=archives.member("../../escaped")
    ),
    "no archive": lambda folder: _written(folder / "text", b"hello"),
}


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive(host: Host, what: str) -> None:
    """Although the token names it: nothing of it is run or kept."""
    refused(host, host.install(host.invite(HOSTILE[what](host.folder))), 6, "the archive is refused")
    assert [] == list(host.folder.rglob("*escaped*"))


def test_expired_token(host: Host) -> None:
    """Nothing is fetched for it."""
    line = host.invite(archive(host.folder, "1.0"), expires_in=timedelta(minutes=-5))
    refused(host, host.install(line), 5, "the join token expired")


def test_truncated_token(host: Host) -> None:
    """Nothing is asked or fetched for it."""
    refused(host, host.install(host.offer("1.0")[:-9]), 2, "cut off or changed")


def test_man_in_the_middle() -> None:
    """Another certificate in front of the backend: refused before a byte is asked for."""
    theirs = Authority(Path(tempfile.mkdtemp(prefix="towline-ca-")), "Other CA")
    ours = Authority(Path(tempfile.mkdtemp(prefix="towline-ca-")))
    try:
        with new_host(theirs) as (host, server):
            told = host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file))
            refused(host, told, 5, "not vouched for")
            assert [] == server.asked
    finally:
        shutil.rmtree(theirs.ca_file.parent)
        shutil.rmtree(ours.ca_file.parent)


def test_private_authority_is_kept(host: Host) -> None:
    """--ca-file goes to the puller as a copy below the prefix: the one given may be on a stick."""
    ours = Authority(host.folder / "ca")
    with serving(host.shop.answer, ours.server_tls()) as server:
        host.shop.url = server.url
        told = host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file))
    assert 0 == told.code, told.err
    assert ours.ca_file.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
    assert f"--ca-file {host.prefix}/etc/ca.pem" in (host.prefix / "enrolment").read_text()


def test_other_authorities_on_an_enrolled_host(host: Host) -> None:
    """A private CA was changed for another: given to the same command it is kept, and the agent restarted, once."""
    old, new = Authority(host.folder / "old"), Authority(host.folder / "new")
    with serving(host.shop.answer, old.server_tls()) as server:
        host.shop.url = server.url
        line = host.offer("1.0")
        assert 0 == host.install(line, "--ca-file", str(old.ca_file)).code
        told = host.install(line, "--ca-file", str(new.ca_file))
        assert (5, ["1.0"]) == (told.code, host.starts()), told.err  # that backend is not vouched for by it
        assert old.ca_file.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
        both = host.folder / "both.pem"
        both.write_bytes(old.ca_file.read_bytes() + new.ca_file.read_bytes())
        for given in (line, ""):
            assert 0 == (told := host.install(given, "--ca-file", str(both))).code, told.err
        assert both.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
    assert ["1.0", "1.0"] == host.starts()
    assert {f"--ca-file {host.prefix}/etc/ca.pem"} == {*(host.prefix / "adjusted").read_text().splitlines()}


def test_authorities_of_this_host_are_used_again(host: Host) -> None:
    """Another version is fetched over TLS without saying --ca-file again."""
    ours = Authority(host.folder / "ca")
    with serving(host.shop.answer, ours.server_tls()) as server:
        host.shop.url = server.url
        assert 0 == host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file)).code
        settings = host.prefix / "etc/puller.toml"
        settings.write_text(f'{settings.read_text()}ca_file = "{host.prefix}/etc/ca.pem"\n')
        told = host.install(host.offer("2.0"))
    assert (0, "2.0") == (told.code, host.runs()), told.err


def test_another_source_on_an_enrolled_host(host: Host) -> None:
    """Options of git are put into the settings, and the agent is restarted with them."""
    repository = host.folder / "repository"
    repository.mkdir()
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    told = host.install(line, "--git-url", str(repository))
    assert (0, ["1.0", "1.0"]) == (told.code, host.starts()), told.err
    assert f"--git-url {repository}\n" == (host.prefix / "adjusted").read_text()


def test_authorities_that_are_none(host: Host) -> None:
    """A file without certificates is a problem like any other, told before anything is done."""
    (host.folder / "none.pem").write_text("hello\n")
    line = host.offer("1.0")
    refused(host, host.install(line, "--ca-file", str(host.folder / "none.pem")), 5, "no file with certificates in PEM")


def test_used_token(host: Host) -> None:
    """The backend refuses it: nothing runs, and the archive need not be fetched again for the next one."""
    told = host.install(host.offer("1.0", "refused"))
    assert (1, True, []) == (told.code, "the backend did not take this host" in told.err, host.starts()), told.err
    assert not (host.prefix / "agent/current").exists()


def test_install_twice(host: Host) -> None:
    """The second time nothing is restarted, enrolled or fetched."""
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    releases, enrolment = tree(host.prefix / "agent/releases"), (host.prefix / "enrolment").stat().st_mtime_ns
    host.shop.files.clear()
    told = host.install(line)
    assert (0, ["1.0"]) == (told.code, host.starts()), told.err
    assert (releases, enrolment) == (
        tree(host.prefix / "agent/releases"),
        (host.prefix / "enrolment").stat().st_mtime_ns,
    )


def test_expired_token_of_a_host_that_is_enrolled(host: Host) -> None:
    """It is not needed any more: the same command puts right what is here."""
    assert 0 == host.install(host.offer("1.0")).code
    late = host.invite(archive(host.folder, "1.0"), expires_in=timedelta(minutes=-5))
    assert 0 == host.install(late).code


@pytest.mark.parametrize("begun", [False, True])
def test_forced_enrolment_that_was_cut_off_is_finished_by_the_same_command(host: Host, begun: bool) -> None:
    """Also without --force, and while the agent of the former identity runs again: self_healing started it."""
    assert 0 == host.install(host.offer("1.0"), "--force").code
    keys, half = host.prefix / "state/keys", host.prefix / "state/keys.pending"
    half.mkdir()
    (half / "token").write_text("token-0002\n")
    (keys / "token").write_text("token-0001\n")
    if begun:
        (keys / "token").unlink()
        said = host.install("")
        assert (2, True) == (said.code, "begun here and not finished" in said.err), said.err
    (host.prefix / "enrolment").unlink()
    told = host.install(host.invite(archive(host.folder, "1.0"), id="token-0002"))
    assert (0, True) == (told.code, (host.prefix / "enrolment").exists()), told.err
    assert (["1.0", "1.0"], "1.0") == (host.starts(), host.runs())


HALF: dict[str, Callable[[Path], object]] = {
    "the agent's folder": lambda prefix: shutil.rmtree(prefix / "agent"),
    "the puller of the release": lambda prefix: next(prefix.glob("agent/releases/*/bin/towline-puller")).unlink(),
    "the links": lambda prefix: [(prefix / "agent" / name).unlink() for name in ("current", "good")],
    "the keys": lambda prefix: (prefix / "state/keys/identity").unlink(),
    "the settings": lambda prefix: shutil.rmtree(prefix / "etc"),
}


@pytest.mark.parametrize("what", HALF)
def test_over_a_half_removed_one(host: Host, what: str) -> None:
    """Whatever is missing is there again, and one agent runs."""
    line = host.offer("1.0")
    assert 0 == host.install(line).code
    HALF[what](host.prefix)
    told = host.install(line)
    assert (0, "1.0", "1.0") == (told.code, host.release("current"), host.runs()), told.err


def test_without_a_token_what_is_here_is_put_right(host: Host) -> None:
    """On an enrolled host, also while the backend is away; on another host it asks for one."""
    assert 0 == host.install(host.offer("1.0")).code
    os.kill(int((host.prefix / "state/lock").read_text()), signal.SIGKILL)
    settings = host.prefix / "etc/puller.toml"
    settings.write_text(settings.read_text().replace(host.shop.url, "http://127.0.0.1:9"))
    told = host.install("")
    assert (0, "1.0", ["1.0", "1.0"]) == (told.code, host.runs(), host.starts()), told.err


def test_without_a_token_on_a_fresh_host(host: Host) -> None:
    """It says where one comes from."""
    refused(host, host.install(""), 2, "towline host invite NAME")


def test_over_another_version(host: Host) -> None:
    """The new one is laid beside the old one, takes over, and is the good one when it has made a pass."""
    assert 0 == host.install(host.offer("1.0")).code
    told = host.install(host.offer("2.0"))
    assert (0, "2.0", "2.0", "2.0") == (told.code, host.release("current"), host.release("good"), host.runs()), told.err
    assert (["1.0", "2.0"], False) == (host.starts(), (host.prefix / "agent/trial").exists())


@pytest.mark.parametrize("behaviour", ["crash", "hang"])
def test_another_version_that_does_not_serve(host: Host, behaviour: str) -> None:
    """It is undone before the person's eyes: the old one runs again, and the words say so."""
    assert 0 == host.install(host.offer("1.0")).code
    told = host.install(host.offer("2.0", behaviour))
    assert (1, True) == (told.code, "was undone" in told.err), told.err
    expected = ("1.0", "1.0", "1.0", False)
    assert expected == (
        host.release("current"),
        host.release("good"),
        host.runs(),
        (host.prefix / "agent/trial").exists(),
    )


def test_version_that_was_refused_may_be_asked_for_by_hand(host: Host) -> None:
    """A person who installs a release that had been undone gets a new judgement."""
    path = archive(host.folder, "1.0")
    note = host.prefix / "agent/refused" / f"1.0-{archives.hex_of(path)[:12]}"
    note.parent.mkdir(parents=True)
    note.write_text(f"reason=crashed\nboot_id={boot_id()}\n")
    told = host.install(host.invite(path))
    assert (0, False) == (told.code, note.exists()), told.err


def test_first_agent_that_does_not_serve(host: Host) -> None:
    """There is nothing to go back to: it says what it saw, and exit 1."""
    told = host.install(host.offer("1.0", "crash"))
    assert (1, True, True) == (told.code, "does not serve" in told.err, "ImportError" in told.err), told.err


def test_two_shells_at_once(host: Host) -> None:
    """One works, the other says who does, waits, and finds all done; one agent was started."""
    line = host.offer("1.0")
    calls = [
        subprocess.Popen(
            host.command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(host.folder),
        )
        for _ in range(2)
    ]
    for call in calls:
        assert call.stdin is not None
        call.stdin.write(line.encode())
        call.stdin.close()
    said = [call.stdout.read().decode() for call in calls if call.stdout is not None]
    assert [0, 0] == [call.wait(60) for call in calls], said
    assert (1, ["1.0"]) == (sum("waiting for it" in text for text in said), host.starts()), said


@pytest.mark.parametrize("after_s", [0.1, 0.3, 0.5, 0.7, 0.9, 1.2])
def test_killed_at_any_moment_and_given_again(host: Host, after_s: float) -> None:
    """As after a power loss: the same command ends well, with one agent and nothing half done."""
    line = host.offer("1.0")
    call = subprocess.Popen(
        host.command(), stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        env=environment(host.folder), start_new_session=True,
    )  # fmt: skip
    assert call.stdin is not None
    call.stdin.write(line.encode())
    call.stdin.close()
    time.sleep(after_s)  # the fault itself
    os.killpg(call.pid, signal.SIGKILL)
    call.wait(10)
    told = host.install(line)
    assert (0, "1.0", "1.0") == (told.code, host.release("good"), host.runs()), told.err
    assert [] == [name for name in host.files() if "/.new-" in name or "/parts" in name]


@needs_mounts
def test_full_disk_while_unpacking(host: Host) -> None:
    """Clear words and no half release; with space again the same command ends well."""
    files = archives.release_files("1.0", puller=PULLER.read_bytes())
    path = archives.archive(host.folder, files | {"behaviour": b"serve\n", "site/zeros": bytes(120 << 20)})
    line = host.invite(path)
    (host.folder / "token").write_text(line)
    command = f"bash {host.script} install --prefix {host.prefix} --token-file {host.folder}/token"
    inside = f"""mount -t tmpfs -o size=75m none {host.prefix}; echo none >{host.prefix}/keeper
{command} && exit 9
ls -A {host.prefix}/agent/releases 2>/dev/null
mount -o remount,size=300m {host.prefix}
{command}; echo "second: $?"; ls -A {host.prefix}/agent/releases"""
    told = run(["unshare", "--map-root-user", "--mount", "bash", "-c", inside], host.folder)
    assert "cannot be unpacked below" in told.err, told.all
    assert "the disk is full" in told.err
    assert told.out.endswith(f"second: 0\n1.0-{archives.hex_of(path)[:12]}\n"), told.all


def test_proxies_are_kept_for_the_unit(host: Host) -> None:
    """With their password, for the owner's eyes; a later call from a shell without them takes them from there."""
    with serving(host.shop.answer) as proxy:
        address = proxy.url.replace("://", "://user:pass-word@")
        host.more = {"http_proxy": address, "no_proxy": "localhost"}
        line = host.invite(archive(host.folder, "1.0"), url="http://backend.invalid")
        told = host.install(line)
        kept = host.prefix / "etc/proxy.env"
        assert (0, False) == (told.code, "pass-word" in told.all), told.err
        assert (f"http_proxy={address}\nno_proxy=localhost\n", 0o600) == (kept.read_text(), kept.stat().st_mode & 0o777)
        host.more = {}
        assert 0 == host.install(line).code


def test_folder_instead_of_the_network(host: Host) -> None:
    """Air-gapped: the archive lies beside the script, the backend gives nothing out."""
    line = host.offer("1.0")
    host.shop.files.clear()
    told = host.install(line, "--from", str(host.folder))
    assert (0, "1.0") == (told.code, host.runs()), told.err


def test_method_that_the_archive_is_not_of(host: Host) -> None:
    """Wheels were asked for, the token names the self-contained archive: said, nothing runs."""
    told = host.install(host.offer("1.0"), "--method", "wheels")
    assert (6, True, []) == (told.code, "is self-contained, not wheels" in told.err, host.starts()), told.err


@pytest.mark.parametrize(
    "words",
    [["install", "--token", "x"], ["install", "--from"], ["install", "--prefix", "relative"], ["frobnicate"], [],
     ["stop", "--from", "x"], ["install", "--method", "magic"]],
)  # fmt: skip
def test_wrong_arguments(host: Host, words: list[str]) -> None:
    """Exit 2; a token as an argument is not even an option."""
    told = run(["bash", str(host.script), *words], host.folder)
    assert (2, "") == (told.code, told.out)


def test_help_names_every_option(host: Host) -> None:
    """What the script reads, it tells."""
    told = run(["bash", str(host.script), "help"], host.folder)
    options = ("--token-file", "--from", "--ca-file", "--method", "--force", "--git-url", "--directory", "--prefix")
    assert (0, []) == (told.code, [option for option in options if option not in told.out])


def test_bash_that_is_too_old(host: Host) -> None:
    """It is said first; here every bash is too old for a script that asks for more."""
    host.script.write_bytes(AGENTCTL.replace(b">= 404", b">= 9904"))
    refused(host, host.install(host.offer("1.0")), 5, "must be 4.4 or newer")
