"""judge.sh: all that is missing is said at once, and nothing is changed."""

import os
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from puller.kinds.traces import tree
from tests.agent.parts import Told, call, environment, path_without, run
from tests.agent.tokens import token
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import Exchange, HttpServer, serving
from tests.servers.small_disk import may_mount

needs_mounts = pytest.mark.skipif(not may_mount(), reason="this machine lets nobody mount")

NEEDED = {"agent_digest": "sha256:" + "a" * 64, "agent_size": 1000}


def fine(exchange: Exchange) -> None:
    exchange.answer(200, b'{"status":"ok"}')


@pytest.fixture
def backend() -> Iterator[HttpServer]:
    """One that is well."""
    with serving(fine) as server:
        yield server


def judge(
    folder: Path,
    line: str,
    *,
    before: str = "",
    stub: str = "cron_can_keep() { :; };",
    more: dict[str, str] | None = None,
    inside: str = "",
) -> Told:
    """Judges with that token. `inside`: what is done first in a mount namespace of its own."""
    code = f"{stub} {before} take_token; read_token; judge; echo fine"
    if not inside:
        return call(folder, code, stdin=line.encode(), more=more)
    call(folder, "exit 0")
    driver = folder / "driver.sh"
    driver.write_text(driver.read_text().rpartition("exit 0")[0] + code + "\n")
    shell = f"{inside}\nexec bash '{driver}'"
    return run(["unshare", "--map-root-user", "--mount", "bash", "-ec", shell], folder, stdin=line.encode(), more=more)


def problems(told: Told) -> list[str]:
    """What it found."""
    return [line[2:] for line in told.err.splitlines() if line.startswith("- ")]


def test_a_host_that_fits(tmp_path: Path, backend: HttpServer) -> None:
    """Nothing is wrong, nothing is said about it, and nothing on disk changed."""
    (tmp_path / "prefix").mkdir()
    before = tree(tmp_path / "prefix")
    told = judge(tmp_path, token(backend.url, **NEEDED))
    assert (0, "fine\n", [], before) == (told.code, told.out, problems(told), tree(tmp_path / "prefix")), told.err


def test_everything_at_once(tmp_path: Path, backend: HttpServer) -> None:
    """Tools, keeper, machine, place, archive, expiry and backend: one list, and exit 5."""
    path = path_without(tmp_path, "flock", "curl", "wget", "uname")
    (Path(path) / "uname").write_text("#!/bin/sh\ncase $1 in -m) echo riscv64;; *) echo 2.6.32-el6;; esac\n")
    (Path(path) / "uname").chmod(0o755)
    (tmp_path / "prefix").write_text("a file")
    stub = "cron_runs() { false; }; uses_cron_file() { :; }; find_python() { false; };"
    told = judge(tmp_path, token(backend.url), stub=stub, more={"PATH": path})
    expected = (
        "flock, curl or wget",
        "the kernel is",
        "is no folder",
        "names no archive",
        "riscv64 needs",
        "cron daemon",
    )
    assert 5 == told.code, told.err
    assert [] == [words for words in expected if not any(words in line for line in problems(told))], told.err
    assert "apt-get install" in told.err
    assert "dnf install" in told.err


def another_machine(folder: Path) -> dict[str, str]:
    """An environment in which this machine is one of ARM's."""
    path = path_without(folder, "uname")
    (Path(path) / "uname").write_text("#!/bin/sh\ncase $1 in -m) echo aarch64;; *) echo 6.1.0;; esac\n")
    (Path(path) / "uname").chmod(0o755)
    return {"PATH": path}


def test_an_archive_for_another_machine(tmp_path: Path, backend: HttpServer) -> None:
    """It is refused before it is fetched, also where a Python would do for the one of wheels; what to do is said."""
    line, python = token(backend.url, **NEEDED), "cron_can_keep() { :; }; find_python() { REPLY=python3; };"
    told = judge(tmp_path, line, stub=python, more=another_machine(tmp_path))
    assert (5, 1) == (told.code, len(problems(told))), told.err
    assert "this machine is aarch64, and the archive that the join token names is for x86_64" in told.err
    assert "the archive of wheels, and invite the host again" in told.err


@pytest.mark.parametrize("python", [True, False])
def test_the_archive_of_wheels_on_another_machine(tmp_path: Path, backend: HttpServer, python: bool) -> None:
    """The invitation to that one says --method wheels; the host needs a Python for it."""
    stub = f"cron_can_keep() {{ :; }}; find_python() {{ REPLY=python3; {'true' if python else 'false'}; }};"
    before = "OPTIONS[method]=wheels;"
    told = judge(tmp_path, token(backend.url, **NEEDED), before=before, stub=stub, more=another_machine(tmp_path))
    assert (0 if python else 5, not python) == (told.code, "aarch64 needs" in told.err), told.err


def test_expired_token(tmp_path: Path, backend: HttpServer) -> None:
    """It says since when, and what to do."""
    told = judge(tmp_path, token(backend.url, expires_in=timedelta(hours=-1), **NEEDED))
    assert (5, 1, True) == (told.code, len(problems(told)), "the join token expired at" in told.err), told.err


@pytest.mark.parametrize(
    ("off", "words"), [(timedelta(days=2, hours=1), "2 days behind"), (timedelta(minutes=-10), "10 minutes ahead")]
)
def test_clock_that_is_off(tmp_path: Path, off: timedelta, words: str) -> None:
    """By how much, which way, and how to set it."""
    there = format_datetime(datetime.now(UTC) + off, usegmt=True)
    with serving(lambda exchange: exchange.answer(200, headers={"Date": there})) as server:
        told = judge(tmp_path, token(server.url, expires_in=timedelta(days=9), **NEEDED))
    assert (5, True, True) == (told.code, words in told.err, "timedatectl" in told.err), told.err


def test_clock_within_two_minutes_will_do(tmp_path: Path) -> None:
    """Nobody has to set a clock for a minute."""
    there = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    with serving(lambda exchange: exchange.answer(200, headers={"Date": there})) as server:
        told = judge(tmp_path, token(server.url, **NEEDED))
    assert 0 == told.code, told.err


TOOLS = pytest.mark.parametrize("hidden", [(), ("curl",)], ids=["curl", "wget"])


def tools(folder: Path, hidden: tuple[str, ...]) -> dict[str, str]:
    return {"PATH": path_without(folder, *hidden)} if hidden else {}


@TOOLS
def test_name_that_cannot_be_resolved(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """DNS is named, and the proxy as a way out."""
    told = judge(tmp_path, token("https://backend.invalid", **NEEDED), more=tools(tmp_path, hidden))
    assert (5, True) == (told.code, "the name backend.invalid cannot be resolved" in told.err), told.err


@TOOLS
def test_port_where_nobody_listens(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """TCP is named."""
    told = judge(tmp_path, token("http://127.0.0.1:9", **NEEDED), more=tools(tmp_path, hidden))
    assert (5, True) == (told.code, "nothing can be reached at 127.0.0.1:9 (TCP)" in told.err), told.err


@TOOLS
def test_proxy_that_wants_a_password(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """407 is the proxy's answer, not the backend's; its password is not shown."""
    refuse = serving(lambda exchange: exchange.answer(407, headers={"Proxy-Authenticate": 'Basic realm="x"'}))
    with refuse as proxy:
        for scheme in ("http", "https"):
            more = {f"{scheme}_proxy": proxy.url.replace("://", "://user:pass-word@")} | tools(tmp_path, hidden)
            told = judge(tmp_path, token(f"{scheme}://backend.invalid", **NEEDED), more=more)
            assert (5, True, False) == (told.code, "(407)" in told.err, "pass-word" in told.err), told.err


@TOOLS
def test_proxy_that_refuses_the_way(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """A proxy that will not connect is named, not the backend."""
    with serving(lambda exchange: exchange.answer(403)) as proxy:
        more = {"https_proxy": proxy.url} | tools(tmp_path, hidden)
        told = judge(tmp_path, token("https://backend.invalid", **NEEDED), more=more)
        assert (5, True) == (told.code, f"the proxy {proxy.url[7:]}" in told.err), told.err


@TOOLS
def test_through_a_proxy(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """With user and password of the variable, to a name that only the proxy knows."""
    with serving(fine) as proxy:
        more = {"http_proxy": proxy.url.replace("://", "://user:pass-word@")} | tools(tmp_path, hidden)
        told = judge(tmp_path, token("http://backend.invalid", **NEEDED), more=more)
        assert (0, True) == (told.code, "proxy-authorization" in proxy.asked[0].headers), told.err
        assert "http://backend.invalid/healthz" == proxy.asked[0].target


def test_host_that_needs_no_proxy(tmp_path: Path, backend: HttpServer) -> None:
    """no_proxy is obeyed."""
    more = {"http_proxy": "http://127.0.0.1:9", "no_proxy": "localhost,127.0.0.1"}
    assert 0 == judge(tmp_path, token(backend.url, **NEEDED), more=more).code


@TOOLS
def test_certificate_of_nobody_we_trust(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """A private CA, or somebody between: it says both."""
    with serving(fine, Authority(tmp_path / "ca").server_tls()) as server:
        told = judge(tmp_path, token(server.url, **NEEDED), more=tools(tmp_path, hidden))
        assert (5, True, []) == (told.code, "not vouched for" in told.err, server.asked), told.err


@TOOLS
def test_private_authority(tmp_path: Path, hidden: tuple[str, ...]) -> None:
    """--ca-file makes it one that we trust."""
    ours = Authority(tmp_path / "ca")
    with serving(fine, ours.server_tls()) as server:
        option = f"OPTIONS[ca-file]='{ours.ca_file}';"
        told = judge(tmp_path, token(server.url, **NEEDED), before=option, more=tools(tmp_path, hidden))
        assert 0 == told.code, told.err


def certificate(folder: Path, *, begins: datetime) -> ssl.SSLContext:
    """A server whose self-signed certificate, which is trusted, begins to be valid then."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(subject_name=name, issuer_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(begins)
        .not_valid_after(begins + timedelta(days=10))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    (folder / "self.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "self.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "self.pem", folder / "self.key")
    return context


@pytest.mark.parametrize("days", [3, -30], ids=["not yet valid", "expired"])
def test_certificate_that_our_clock_makes_invalid(tmp_path: Path, days: int) -> None:
    """The words are about the clock, with the backend's time, and not about trust alone."""
    begins = datetime.now(UTC) + timedelta(days=days)
    there = format_datetime(begins + timedelta(days=1), usegmt=True)
    with serving(
        lambda exchange: exchange.answer(200, headers={"Date": there}), certificate(tmp_path, begins=begins)
    ) as server:
        told = judge(tmp_path, token(server.url, **NEEDED), before=f"OPTIONS[ca-file]='{tmp_path}/self.pem';")
    expected = f"The clock of this host is {4 if days > 0 else 29} days {'behind' if days > 0 else 'ahead'}"
    # Whole days: a moment passes between the two looks.
    assert (5, True) == (told.code, expected in told.err or expected.replace("4 d", "3 d") in told.err), told.err


def test_something_else_answers(tmp_path: Path) -> None:
    """A page of somebody else, with 404."""
    with serving(lambda exchange: exchange.answer(404)) as server:
        told = judge(tmp_path, token(server.url, **NEEDED))
    assert (5, True) == (told.code, "answers 404 to /healthz" in told.err), told.err


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/x.git", "ssh://git@127.0.0.1:9/x", "git@git.invalid:x/y", "/nowhere"]
)
def test_git_host_is_judged_when_documents_come_from_there(tmp_path: Path, backend: HttpServer, url: str) -> None:
    """Each way to name a repository."""
    told = judge(tmp_path, token(backend.url, **NEEDED), before=f"ENROL_OPTIONS=(--git-url '{url}');")
    assert (5, 1, True) == (told.code, len(problems(told)), "git" in problems(told)[0]), told.err


def test_git_host_that_answers(tmp_path: Path, backend: HttpServer) -> None:
    """Over HTTP, also with 401: credentials are the puller's; and over TCP for ssh."""
    port = backend.url.rpartition(":")[2]
    for url in (f"{backend.url}/x.git", f"ssh://git@127.0.0.1:{port}/x"):
        told = judge(tmp_path, token(backend.url, **NEEDED), before=f"ENROL_OPTIONS=(--git-url '{url}');")
        assert 0 == told.code, told.err


def test_another_towline_at_that_prefix(tmp_path: Path, backend: HttpServer) -> None:
    """Who lives there, and the way out."""
    for name in ("etc/puller.toml", "state/trust.note", "state/keys/identity"):
        (tmp_path / "prefix" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "prefix" / name).write_text('host = "other"\nbackend_url = "http://b"\n')
    told = judge(tmp_path, token(backend.url, **NEEDED))
    assert (5, True) == (told.code, "enrolled as other at http://b" in told.err), told.err
    assert 0 == judge(tmp_path, token(backend.url, **NEEDED), before="OPTIONS[force]=yes;").code


def test_a_prefix_that_somebody_else_uses(tmp_path: Path, backend: HttpServer) -> None:
    """`--prefix /var` by mistake: what would lie among the agent's own folders, and go with them, is named."""
    for name in ("log/syslog", "run/pid", "lib/theirs"):
        (tmp_path / "prefix" / name).parent.mkdir(parents=True)
        (tmp_path / "prefix" / name).write_text("theirs\n")
    told = judge(tmp_path, token(backend.url, **NEEDED))
    assert (5, 1, True) == (told.code, len(problems(told)), "something else: run, log below it" in told.err), told.err


PLACES: dict[str, tuple[str, str]] = {
    "too small": ("mount -t tmpfs -o size=10m none {p}", "has 10 MiB free; 65 MiB are needed"),
    "without inodes": ("mount -t tmpfs -o size=500m,nr_inodes=100 none {p}", "inodes free; 4000 are needed"),
    "noexec": ("mount -t tmpfs -o size=500m,noexec none {p}", "mounted noexec"),
    "read-only": ("mount -t tmpfs -o size=500m,ro none {p}", "mounted read-only"),
    "without memory": (
        "printf 'MemAvailable: 1000 kB\\n' >{p}/m; mount --bind {p}/m /proc/meminfo",
        "0 MiB of memory are",
    ),
    "old, without memory": (
        "printf 'MemFree: 4000 kB\\n' >{p}/m; mount --bind {p}/m /proc/meminfo",
        "3 MiB of memory are",
    ),
}


@needs_mounts
@pytest.mark.parametrize("what", PLACES)
def test_place_that_does_not_do(tmp_path: Path, backend: HttpServer, what: str) -> None:
    """File systems as they are found: each with its own words, and only those."""
    (tmp_path / "prefix").mkdir()
    inside, words = PLACES[what]
    told = judge(tmp_path, token(backend.url, **NEEDED), inside=inside.format(p=f"{tmp_path}/prefix"))
    assert (5, 1, True) == (told.code, len(problems(told)), words in told.err), told.err


@pytest.mark.skipif(
    os.geteuid() != 0 or not all(folder.stat().st_mode & 0o005 == 0o005 for folder in Path(__file__).parents),
    reason="gives up root, and then nobody may read a checkout that lies here",
)
def test_prefix_that_is_not_ours_to_write(tmp_path: Path, backend: HttpServer) -> None:
    """Root, or another prefix."""
    call(tmp_path, "exit 0")
    for path in (tmp_path, *tmp_path.parents[:3]):
        path.chmod(path.stat().st_mode | 0o055)
    (tmp_path / "prefix").mkdir(mode=0o755)
    told = judge_as_nobody(tmp_path, token(backend.url, **NEEDED))
    assert (5, True) == (told.code, "cannot be written by nobody: run it as root" in told.err), told.err


def judge_as_nobody(folder: Path, line: str) -> Told:
    driver = folder / "driver.sh"
    text = driver.read_text().rpartition("exit 0")[0]
    text += "cron_can_keep() { :; }; take_token; read_token; judge\n"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "bash", "-c", text]
    return run(command, folder, stdin=line.encode(), more={"TMPDIR": "/tmp"})


KEEPERS: dict[str, Callable[[Path], str]] = {
    "somebody's own": lambda prefix: f"echo none >{prefix}/keeper; cron_runs() {{ false; }};",
    "a running cron": lambda _: "crontab() { :; }; cron_runs() { :; }; uses_cron_file() { false; };",
}


@pytest.mark.parametrize("what", KEEPERS)
def test_keeper_that_will_do(tmp_path: Path, backend: HttpServer, what: str) -> None:
    """Cron with its command and its daemon, or a supervisor that a person vouches for."""
    (tmp_path / "prefix").mkdir()
    told = judge(tmp_path, token(backend.url, **NEEDED), stub=KEEPERS[what](tmp_path / "prefix"))
    assert 0 == told.code, told.err


def test_environment_of_tests_has_no_proxy(tmp_path: Path) -> None:
    """Otherwise the tests above would not be about what they say."""
    assert not {name for name in environment(tmp_path) if name.lower().endswith("_proxy")}
