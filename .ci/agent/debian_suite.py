"""Packages of a Debian suite, unpacked beside the system: debian_suite.py SUITE FOLDER PACKAGE...

No root is needed and the machine is not touched. A private apt root (own lists, own cache, an empty dpkg status)
fetches the packages with everything they depend on, libc included. apt checks every signature; the mirror is the one
this machine is configured with.
"""

import fcntl
import os
import shutil
import subprocess
import sys
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


def unpacked(suite: str, folder: Path, *packages: str) -> Path:
    """The folder with the files of the packages as in a root file system; fetched when it is not there.

    Safe to call from several processes at once: one fetches, the others wait for it. In it, `packages/NAME` tells of
    each package: its version in the first line, then its files.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(folder.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            apt_root = folder.with_name(folder.name + ".apt")
            part = folder.with_name(folder.name + ".part")
            for old in (apt_root, part):
                shutil.rmtree(old, ignore_errors=True)
            debs = _fetch(apt_root, suite, packages)
            _unpack(debs, part)
            (part / "packages").mkdir()
            for deb in debs:
                name, version = _run(["dpkg-deb", "--show", "--showformat", "${Package} ${Version}", str(deb)]).split()
                files = [line.split(maxsplit=5)[5] for line in _run(["dpkg-deb", "--contents", str(deb)]).splitlines()]
                (part / "packages" / name).write_text("\n".join([version, *files]))
            part.rename(folder)
            shutil.rmtree(apt_root)
    return folder


def _fetch(apt_root: Path, suite: str, packages: tuple[str, ...]) -> list[Path]:
    for part in ("lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/sources.list.d"):
        (apt_root / part).mkdir(parents=True)
    (apt_root / "status").touch()
    (apt_root / "sources.list").write_text(
        "".join(f"deb [signed-by={_KEYRING}] {line} main\n" for line in _sources(suite))
    )
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


def _sources(suite: str) -> list[str]:
    """The mirrors that this machine uses, asked for another suite: of a release also its security updates."""
    targets = _run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"])
    mirrors = dict(line.split(maxsplit=1) for line in reversed(targets.splitlines()))
    if "Debian" not in mirrors:
        raise RuntimeError("apt knows no Debian mirror here; run: apt-get update")
    sources = [f"{mirrors['Debian']} {suite}"]
    if suite != "sid" and "Debian-Security" in mirrors:
        sources.append(f"{mirrors['Debian-Security']} {suite}-security")
    return sources


def _run(command: list[str], environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(
            f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return done.stdout


if __name__ == "__main__":
    unpacked(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
