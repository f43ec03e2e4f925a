"""Programs of another Debian suite, unpacked beside the system: no root is needed and the machine is not touched.

A private apt root (own lists, own cache, an empty dpkg status) fetches a package with everything it depends on, libc
included; the programs are then run by the suite's own loader. apt checks every signature; the mirror is the one this
machine is configured with.
"""

import fcntl
import os
import platform
import shutil
import subprocess
from pathlib import Path

_LINES = """\
APT::Architecture "{architecture}";
APT::Architectures "{architecture}";
APT::Install-Recommends "false";
APT::Sandbox::User "root";
// A frozen or slow mirror is no reason to fail a test run; signatures are checked all the same.
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
Dir::Etc "{root}/etc/";
Dir::Etc::sourcelist "{root}/sources.list";
Dir::Etc::sourceparts "{root}/etc/sources.list.d/";
Dir::Etc::parts "{root}/etc/apt.conf.d/";
Dir::State "{root}";
Dir::State::lists "{root}/lists/";
Dir::State::status "{root}/status";
Dir::Cache "{root}/cache/";
Dir::Cache::archives "{root}/cache/archives/";
"""
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class SuiteTree:
    """A folder with the files of some packages of one suite, as in a root file system."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._libraries = folder / f"usr/lib/{platform.machine()}-linux-gnu"

    def path(self, name: str) -> Path:
        """Where a file of the packages is, e.g. usr/share/mysql."""
        return self._folder / name

    def command(self, program: str) -> list[str]:
        """How to run a program of the tree on this machine: by the tree's own loader, with its own libraries."""
        loader = next(self._libraries.glob("ld-linux-*.so.*"))
        path = self._folder / program
        return [str(loader), "--library-path", str(self._libraries), "--argv0", str(path), str(path)]


def cache_folder() -> Path:
    """Where downloads are kept between runs: $TOWLINE_TEST_CACHE, else .cache/ beside the tests."""
    given = os.environ.get("TOWLINE_TEST_CACHE")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / ".cache"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def suite_tree(suite: str, *packages: str) -> SuiteTree:
    """The unpacked packages of a suite, fetched on first use. Safe to call from several pytest workers at once."""
    folder = cache_folder() / f"{suite}-{packages[0]}"
    with (cache_folder() / f"{suite}-{packages[0]}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            apt_root = folder.with_name(folder.name + ".apt")
            unpacked = folder.with_name(folder.name + ".part")
            for old in (apt_root, unpacked):
                shutil.rmtree(old, ignore_errors=True)
            _unpack(_fetch(apt_root, suite, packages), unpacked)
            unpacked.rename(folder)
            shutil.rmtree(apt_root)
    return SuiteTree(folder)


def _fetch(apt_root: Path, suite: str, packages: tuple[str, ...]) -> list[Path]:
    for part in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/sources.list.d"):
        (apt_root / part).mkdir(parents=True)
    (apt_root / "status").touch()
    (apt_root / "sources.list").write_text(f"deb [signed-by={_KEYRING}] {_mirror()} {suite} main\n")
    architecture = _run(["dpkg", "--print-architecture"]).strip()
    config = apt_root / "apt.conf"
    # Of the machine's own configuration only how to reach the mirror (proxies, certificates): its hooks stay out.
    reach = _run(["apt-config", "dump", "Acquire"])
    config.write_text(reach + _LINES.format(root=apt_root, architecture=architecture))
    environment = {**os.environ, "APT_CONFIG": str(config), "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    _run(["apt-get", "update", "-q"], environment)
    _run(["apt-get", "install", "-q", "-y", "--download-only", *packages], environment)
    return sorted((apt_root / "cache/archives").glob("*.deb"))


def _unpack(debs: list[Path], folder: Path) -> None:
    # /bin and /lib are links into /usr in a current suite, and packages bring files through either name.
    for name in ("bin", "sbin", "lib", "lib64"):
        (folder / "usr" / name).mkdir(parents=True)
        (folder / name).symlink_to(f"usr/{name}")
    for deb in debs:
        tar = subprocess.run(["dpkg-deb", "--fsys-tarfile", deb], capture_output=True, check=True).stdout
        subprocess.run(
            ["tar", "--extract", "--keep-directory-symlink", "--no-same-owner", "--directory", folder],
            input=tar,
            check=True,
        )


def _mirror() -> str:
    targets = _run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"])
    mirrors = [line.partition(" ")[2] for line in targets.splitlines() if line.startswith("Debian ")]
    if not mirrors:
        raise RuntimeError("apt knows no Debian mirror here; run: apt-get update")
    return mirrors[0]


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout
