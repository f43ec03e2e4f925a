"""The agent's archive runs from anywhere, and nothing of the host's gets into it or out of it."""

import os
import shlex
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tests.bench.enrolled_host import EnrolledHost
from tests.packaging.agent_release import mapped_files, members, run, until
from tests.servers.agent_archive import own_wheel, unpack
from tests.servers.broken_agent import broken
from tests.servers.debian_suite import suite_tree
from tests.servers.git_https import GitOverHttps

pytestmark = pytest.mark.xdist_group("agent-archive")


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


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("crashes", "broken on purpose: ends at its start"),
        ("unreachable", "broken on purpose: no way to http://127.0.0.1"),
        ("schema", "table half_way already exists"),
    ],
)
def test_a_broken_agent_fails_as_it_is_meant_to(
    how: str, said: str, agent_archive: Path, host: EnrolledHost, tmp_path: Path
) -> None:
    """The archives that upgrades are tested with fail when they run, in their own way, and answer otherwise."""
    root = unpack(broken(agent_archive, tmp_path, how, version="9.8.7"), tmp_path / "release")
    assert "9.8.7\n" == run(root / "bin/towline-puller", "--version")
    log = tmp_path / "log"
    with log.open("w") as file:
        command = [str(root / "bin/towline-puller"), "--prefix", str(host.paths.prefix), "run"]
        puller = subprocess.Popen(command, stderr=file)
    try:
        until(lambda: said in log.read_text())
    finally:
        puller.terminate()
        puller.wait(30)


def test_after_an_agent_whose_schema_is_ahead_the_one_before_goes_on(
    agent_archive: Path, release: Path, host: EnrolledHost, tmp_path: Path
) -> None:
    """The newer one leaves its way back in the file, and the older one takes it."""
    root = unpack(broken(agent_archive, tmp_path, "ends-ahead", version="9.8.7"), tmp_path / "release")
    at = ["--prefix", str(host.paths.prefix)]
    run(release / "bin/towline-puller", *at, "plan", accept=(0, 1, 2))
    before = schema_of(host)
    failed = subprocess.run([root / "bin/towline-puller", *at, "run"], capture_output=True, text=True, check=False)
    assert "broken on purpose: ends when its schema is ahead" in failed.stderr
    assert before + 1 == schema_of(host)
    run(release / "bin/towline-puller", *at, "once", accept=(0, 1, 2))
    assert before == schema_of(host)


def schema_of(host: EnrolledHost) -> int:
    """The version of the schema of a host's database."""
    with closing(sqlite3.connect(host.paths.database)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_an_agent_that_hangs_answers_nobody(agent_archive: Path, host: EnrolledHost, tmp_path: Path) -> None:
    """It holds the lock of the host, and `alive` says that it does not serve."""
    root = unpack(broken(agent_archive, tmp_path, "hangs", version="9.8.7"), tmp_path / "release")
    command = [str(root / "bin/towline-puller"), "--prefix", str(host.paths.prefix)]
    puller = subprocess.Popen([*command, "run"], stderr=subprocess.DEVNULL)

    def state() -> str:
        said = subprocess.run([*command, "alive"], capture_output=True, text=True, check=False).stdout
        return said.splitlines()[0]

    try:
        until(lambda: state() == "state=not-serving")
    finally:
        puller.kill()
        puller.wait(30)


def test_a_release_is_not_written_to(release: Path, agent_archive: Path) -> None:
    """After all that ran here, it has the files of the archive: everything was compiled before."""
    left = {path.relative_to(release).as_posix() for path in release.rglob("*") if path.is_file()}
    assert {member.name for member in members(agent_archive)} == left
