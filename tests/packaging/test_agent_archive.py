"""The agent's archive: what is in it, that it runs from anywhere, and that nothing of the host's gets into it."""

import hashlib
import os
import shlex
import struct
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.bench.enrolled_host import EnrolledHost, enrolled_host
from tests.servers.agent_archive import agent_archive as built
from tests.servers.agent_archive import build, own_wheel, unpack, variant
from tests.servers.debian_suite import suite_tree
from tests.servers.git_https import GitOverHttps

pytestmark = pytest.mark.xdist_group("agent-archive")

RUNS_CODE = b"import sys\n\n\ndef main(prog_name):\n    exec(sys.argv[1], {})\n"
"""In place of the command line: a release started as ever runs what it is given."""


@pytest.fixture(scope="module")
def release(agent_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked archive, where agentctl.sh puts it below a prefix."""
    return unpack(agent_archive, tmp_path_factory.mktemp("prefix") / "agent/releases/0.1.0-0123456789ab")


@pytest.fixture(scope="module")
def probe(agent_archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release that runs code: `probe/bin/towline-puller CODE`."""
    folder = tmp_path_factory.mktemp("probe")
    return unpack(variant(agent_archive, folder, patch={"site/puller/cli.py": RUNS_CODE}), folder / "release")


def run(*command: str | Path, environment: dict[str, str] | None = None) -> str:
    """What a command printed; it must succeed."""
    given = {"PATH": os.environ["PATH"]} if environment is None else environment
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def members(archive: Path) -> list[tarfile.TarInfo]:
    """The table of contents."""
    with tarfile.open(archive) as tar:
        return tar.getmembers()


def mapped_files(maps: str) -> set[str]:
    """The files that a process has in its memory, of its `maps`."""
    fields = [line.split(maxsplit=5) for line in maps.splitlines()]
    return {line[5] for line in fields if len(line) == 6 and line[5].startswith("/")}


def test_what_it_is_stands_in_its_first_member(agent_archive: Path, release: Path) -> None:
    """`release` comes first, with the version of the wheel and of the file's name."""
    version = own_wheel().name.split("-")[1]
    facts = f"name=towline-agent\nversion={version}\narchitecture=x86_64\nbuilt_with=self-contained\n"
    assert (f"towline-agent-{version}-linux-x86_64.tar.gz", "release") == (
        agent_archive.name,
        members(agent_archive)[0].name,
    )
    assert facts == (release / "release").read_text()


def test_only_plain_files_are_in_it(agent_archive: Path) -> None:
    """No link, no device, no folder up, nothing that belongs to a person: root unpacks it."""
    found = members(agent_archive)
    plain = [
        member.isfile() and (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "") for member in found
    ]
    assert [True] * len(found) == plain
    assert [] == [member.name for member in found if member.name.startswith("/") or ".." in member.name.split("/")]


def test_two_builds_are_the_same_bytes(agent_archive: Path, tmp_path: Path) -> None:
    """The same wheel, constraints and packages give the same archive, whoever builds it when and where."""
    again = build(own_wheel(), tmp_path)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (agent_archive, again)]
    assert digests[0] == digests[1]


def test_it_is_small(agent_archive: Path) -> None:
    """Packed less than 30 MB, unpacked less than 80 MB, so that a VM with little disk takes two of them."""
    assert agent_archive.stat().st_size < 30e6
    assert sum(member.size for member in members(agent_archive)) < 80e6


def test_it_says_its_version_from_any_folder(release: Path, tmp_path: Path) -> None:
    """Also through the links that a host has: /usr/local/bin/towline-puller and agent/current."""
    (tmp_path / "current").symlink_to(release)
    (tmp_path / "towline-puller").symlink_to(tmp_path / "current/bin/towline-puller")
    version = own_wheel().name.split("-")[1]
    assert f"{version}\n" == run(tmp_path / "towline-puller", "--version")
    assert f"{version}\n" == run("sh", "-c", f"cd '{release}/bin' && ./towline-puller --version")


@pytest.mark.parametrize("shell", ["busybox sh", "dash", "bash --posix"])
def test_any_posix_shell_starts_it(shell: str, release: Path, tmp_path: Path) -> None:
    """The wrapper needs nothing but a shell and readlink, busybox's too."""
    busybox = suite_tree("bookworm", "busybox-static").path("usr/bin/busybox")
    for name in ("sh", "readlink", "busybox"):
        (tmp_path / name).symlink_to(busybox)
    for name in ("dash", "bash"):
        (tmp_path / name).symlink_to(f"/bin/{name}")
    said = run(
        "/usr/bin/env", *shell.split(), release / "bin/towline-puller", "--version", environment={"PATH": str(tmp_path)}
    )
    assert (release / "release").read_text().splitlines()[1] == f"version={said.strip()}"


def test_everything_imports_and_no_library_of_the_host_is_loaded(probe: Path) -> None:
    """Every module of the puller and what it needs, names looked up and accounts asked for: all code is the release's.

    This is why the host's libc does not matter.
    """
    code = """
import importlib, pkgutil, socket, pwd, grp, contextlib
import desired_state, puller
names = [m.name for p in (puller, desired_state) for m in pkgutil.walk_packages(p.__path__, p.__name__ + ".")]
names += ["pygit2", "cryptography.hazmat.bindings._rust", "httpx2", "aiosqlite", "psutil", "structlog", "click"]
names += ["apscheduler.schedulers.asyncio", "apscheduler.triggers.interval", "apscheduler.triggers.cron", "msgspec"]
names += ["anyio._backends._asyncio", "sqlite3", "ssl", "bz2", "lzma", "zoneinfo", "uuid", "ctypes", "decimal"]
for name in names:
    importlib.import_module(name)
socket.getaddrinfo("localhost", 80)
with contextlib.suppress(OSError):
    socket.getaddrinfo("no-such-name.towline.test", 80)
pwd.getpwall(), grp.getgrall()
with contextlib.suppress(KeyError):
    pwd.getpwnam("nobody-of-this-name")
print(len(names))
print(open("/proc/self/maps").read())
"""
    count, _, maps = run(probe / "bin/towline-puller", code).partition("\n")
    assert int(count) > 60
    loaded = mapped_files(maps)
    assert str(probe / "lib/private/libc.so.6") in loaded
    assert set() == {path for path in loaded if not path.startswith(f"{probe}/")}


def test_it_runs_on_the_kernel_of_centos_7(release: Path) -> None:
    """The notes of the libc and the interpreter ask for Linux 3.2 or less."""
    for name in ("lib/private/libc.so.6", "bin/python3.11"):
        assert oldest_kernel(release / name) <= (3, 2, 0)


@pytest.mark.parametrize("locale", [{}, {"LANG": "C"}, {"LC_ALL": "ja_JP.eucJP", "LC_CTYPE": "de_DE.ISO-8859-1"}])
def test_the_environment_of_children_is_as_given(probe: Path, locale: dict[str, str]) -> None:
    """Nothing that makes the release run reaches what it starts: no LD_LIBRARY_PATH, no PYTHONHOME, no locale."""
    given = {"PATH": os.environ["PATH"], "SOME": "thing", **locale}
    code = "import subprocess; print(subprocess.run(['env'], capture_output=True, text=True).stdout, end='')"
    said = run(probe / "bin/towline-puller", code, environment=given)
    of_the_shell = ("PWD=", "_=", "SHLVL=", "OLDPWD=")
    assert given == dict(line.split("=", 1) for line in said.splitlines() if not line.startswith(of_the_shell))


def test_text_is_utf_8_in_any_locale(probe: Path) -> None:
    """A unit has no LANG: names and messages are UTF-8 all the same."""
    code = "import sys; print(sys.getfilesystemencoding(), sys.stdout.encoding, 'ü')"
    assert "utf-8 utf-8 ü\n" == run(probe / "bin/towline-puller", code, environment={"PATH": os.environ["PATH"]})


def test_tls_and_git_over_https(probe: Path, git_https: GitOverHttps) -> None:
    """The release's OpenSSL and libgit2's believe a private CA that they are given, and nobody else."""
    code = f"""
import asyncio, pathlib, pygit2
from puller.clock import SystemClock
from puller.ports import Stalled
from puller.transport.http_client import HttpClient

async def status(ca):
    async with HttpClient(clock=SystemClock(), ca_file=ca) as client:
        return (await client.ask("GET", {git_https.url!r}, max_bytes=10)).status

ca = pathlib.Path({str(git_https.ca_pem)!r})
print(asyncio.run(status(ca)))
try:
    asyncio.run(status(None))
except Stalled as error:
    print("not trusted" in str(error))
pygit2.settings.set_ssl_cert_locations(str(ca), None)
mine = pygit2.init_repository({str(git_https.repository.path.parent / "mine")!r}, True)
remote = mine.remotes.create_anonymous({git_https.url!r})
user = pygit2.UserPass({git_https.user!r}, {git_https.password!r})
print(remote.list_heads(callbacks=pygit2.RemoteCallbacks(credentials=user)))
"""
    assert "401\nTrue\n[]\n" == run(probe / "bin/towline-puller", code)


IN_A_MOUNT_NAMESPACE = ["unshare", "--user", "--map-root-user", "--mount", "bash", "-euc"]


@pytest.fixture(scope="module")
def foreign_host() -> None:
    """Skips where no process may have mounts of its own: then nothing can be put in place of the host's files."""
    if subprocess.run([*IN_A_MOUNT_NAMESPACE, "mount -t tmpfs none /mnt"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets no process have mounts of its own")


def ask(url: str) -> str:
    """Code that asks a server as the puller does, by HTTP and by git, and prints what came of it."""
    return f"""
import asyncio, pathlib, tempfile
from puller.clock import SystemClock
from puller.ports import Stalled
from puller.sources.git import GitSource
from puller.sources.git_access import GitAccess
from puller.transport.http_client import HttpClient

async def by_http():
    async with HttpClient(clock=SystemClock()) as client:
        return (await client.ask("GET", {url!r}, max_bytes=10)).status

async def by_git():
    with tempfile.TemporaryDirectory() as folder:
        return await GitSource(GitAccess(url={url!r}), host="web-1", folder=pathlib.Path(folder)).fetch("")

for way in (by_http, by_git):
    try:
        print(asyncio.run(way()))
    except Stalled as error:
        print("nobody" if "has no CA certificates at all" in str(error) else error)
"""


def test_certificates_are_found_where_suse_keeps_them(probe: Path, git_https: GitOverHttps, foreign_host: None) -> None:
    """With nothing where the release's OpenSSL looks, the host's bundle of authorities is used, by libgit2 too."""
    bundle = f"cp {git_https.ca_pem} /etc/ssl/ca-bundle.pem"
    hide = "mount -t tmpfs none /usr/lib/ssl; mount -t tmpfs none /etc/ssl"
    puller = f"{probe}/bin/towline-puller {shlex.quote(ask(git_https.url))}"
    said = run(*IN_A_MOUNT_NAMESPACE, f"{hide}; {bundle}; exec {puller}")
    by_http, by_git = said.splitlines()
    assert "401" == by_http
    assert "wants credentials" in by_git


def test_a_host_that_trusts_nobody_is_told_so(probe: Path, git_https: GitOverHttps, foreign_host: None) -> None:
    """Without any bundle, the message names the package that is missing; pygit2 is imported all the same."""
    hide = "mount -t tmpfs none /usr/lib/ssl; mount -t tmpfs none /etc/ssl"
    said = run(*IN_A_MOUNT_NAMESPACE, f"{hide}; exec {probe}/bin/towline-puller {shlex.quote(ask(git_https.url))}")
    assert "nobody\nnobody\n" == said


def test_libraries_that_nsswitch_names_are_not_loaded(probe: Path, foreign_host: None, tmp_path: Path) -> None:
    """A host that asks sss, systemd, resolve or compat for names: none of them is loaded, and names are found."""
    (tmp_path / "nsswitch.conf").write_text(
        "passwd: compat systemd sss\nhosts: mymachines hesiod resolve [!UNAVAIL=return] files myhostname dns\n"
    )
    (tmp_path / "hosts").write_text("192.0.2.7 backend.towline.test\n")
    lay = "; ".join(f"mount --bind {tmp_path}/{name} /etc/{name}" for name in ("nsswitch.conf", "hosts"))
    code = """
import pwd, socket
print(socket.gethostbyname("backend.towline.test"), pwd.getpwuid(0).pw_name)
print([line for line in open("/proc/self/maps") if "libnss" in line])
"""
    said = run(*IN_A_MOUNT_NAMESPACE, f"{lay}; exec {probe}/bin/towline-puller {shlex.quote(code)}")
    assert "192.0.2.7 root\n[]\n" == said


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EnrolledHost]:
    """A host that never had a document, and its backend."""
    with enrolled_host(tmp_path_factory.mktemp("enrolled")) as made:
        yield made


def test_a_puller_of_the_archive_converges_a_host(host: EnrolledHost, release: Path, tmp_path: Path) -> None:
    """Run through agent/current, it converges; its real folder shows; it and its services have nothing of one another.

    The command line holds the path of the release with every link resolved. A service has no variable and no library
    of the release.
    """
    (tmp_path / "current").symlink_to(release)
    command = [str(tmp_path / "current/bin/towline-puller"), "--prefix", str(host.paths.prefix), "run"]
    puller = subprocess.Popen(command, env={"PATH": os.environ["PATH"]}, stderr=subprocess.DEVNULL)
    try:
        files = [host.paths.prefix / "services" / service.name / "pid" for service in host.services]
        until(lambda: all(file.exists() and file.read_text() for file in files))
        process = Path(f"/proc/{puller.pid}")
        assert str(release.resolve()) in (process / "cmdline").read_text()
        assert "towline-puller\n" == (process / "comm").read_text()
        used = mapped_files((process / "maps").read_text())
        ours = (f"{release.resolve()}/", f"{host.paths.prefix}/")
        assert set() == {path for path in used if not path.startswith(ours)}
        service = psutil.Process(int(files[0].read_text()))
        assert [] == [value for value in service.environ().values() if str(release) in value]
        assert [] == [mapped.path for mapped in service.memory_maps() if mapped.path.startswith(str(release))]
    finally:
        puller.terminate()
        assert 0 == puller.wait(30)


def test_a_release_is_not_written_to(release: Path, agent_archive: Path) -> None:
    """After all that ran here, it has the files of the archive: everything was compiled before."""
    left = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert {member.name for member in members(agent_archive)} == left


def test_a_variant_says_its_own_version(agent_archive: Path, tmp_path: Path) -> None:
    """What the tests of upgrades are built on: another version, everywhere; and the same bytes each time."""
    first, second = (variant(agent_archive, tmp_path / name, version="9.8.7") for name in ("a", "b"))
    root = unpack(first, tmp_path / "release")
    assert "towline-agent-9.8.7-linux-x86_64.tar.gz" == first.name
    assert "9.8.7\n" == run(root / "bin/towline-puller", "--version")
    assert "version=9.8.7" == (root / "release").read_text().splitlines()[1]
    assert first.read_bytes() == second.read_bytes()


def test_it_is_built_once(agent_archive: Path) -> None:
    """Asked again, the same file is there."""
    before = agent_archive.stat().st_mtime_ns
    assert (agent_archive, before) == (built(), agent_archive.stat().st_mtime_ns)


def oldest_kernel(library: Path) -> tuple[int, ...]:
    """The Linux that the ABI note of an ELF file asks for at least (NT_GNU_ABI_TAG of the gABI's notes)."""
    data = library.read_bytes()
    header = struct.pack("<III", 4, 16, 1) + b"GNU\0"
    system, *version = struct.unpack_from("<4I", data, data.index(header) + len(header))
    assert 0 == system, "not a note about Linux"
    return tuple(version)


def until(true: Callable[[], bool]) -> None:
    """Waits for it, for as long as only a failing test does."""
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)
