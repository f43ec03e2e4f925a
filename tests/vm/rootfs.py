"""Debian root file systems: made once by mmdebstrap, kept as tarballs in the cache, unpacked beside them."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

SUITES = {
    # Python 3.9: too old for the puller. No curl: there are such servers.
    "bullseye": ("wget", "python3"),
    # Python 3.11 with venv: the agent can come as wheels.
    "bookworm": ("curl", "python3", "python3-venv"),
    # No Python at all.
    "trixie": ("curl",),
}
"""Each suite's own packages, beside the common ones."""

_COMMON = (
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "ca-certificates",
    "cron",
    "iproute2",
    "procps",
    "passwd",
)

_SETTLE = r"""
set -eu
cd "$1"
rm -rf usr/share/man/* usr/share/info/* usr/share/locale/* usr/share/lintian/* var/lib/apt/lists/*_* var/cache/apt/*.bin
find usr/share/doc -type f ! -name copyright -delete
: >etc/machine-id
rm -f var/lib/dbus/machine-id etc/hostname
: >etc/resolv.conf
mkdir -p var/log/journal etc/systemd/journald.conf.d
printf '[Journal]\nStorage=persistent\nSystemMaxUse=32M\n' >etc/systemd/journald.conf.d/10-vm.conf
# No package mirror can be reached from the VMs.
for unit in apt-daily.timer apt-daily-upgrade.timer; do ln -sf /dev/null "etc/systemd/system/$unit"; done
"""


class NoRootFileSystem(Exception):
    """mmdebstrap could not make one; the text has its last words."""


def cache_folder() -> Path:
    """Where root file systems and machines are kept: below $TOWLINE_TEST_CACHE, else below .cache of the checkout."""
    given = os.environ.get("TOWLINE_TEST_CACHE")
    folder = (Path(given) if given else Path(__file__).resolve().parents[2] / ".cache") / "vm"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def tree(suite: str) -> Path:
    """The unpacked root file system of a suite; made on first use, which takes about half a minute."""
    folder = cache_folder() / "trees" / _name(suite)
    with _lock(_name(suite)):
        if not folder.exists():
            tarball = _tarball(suite)
            part = folder.with_name(folder.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            _run(["tar", "-C", str(part), "--numeric-owner", "--xattrs", "--xattrs-include=*", "-xzf", str(tarball)])
            part.rename(folder)
    return folder


def _tarball(suite: str) -> Path:
    wanted = cache_folder() / f"{_name(suite)}.tar.gz"
    if not wanted.exists():
        part = cache_folder() / f".{_name(suite)}.part.tar.gz"
        packages = ",".join((*_COMMON, *SUITES[suite]))
        settle = f"--customize-hook=sh -c '{_quoted(_SETTLE)}' sh \"$1\""
        _run(
            ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={packages}", settle, suite, str(part), _mirror()]
        )
        part.rename(wanted)
    return wanted


def _quoted(text: str) -> str:
    return text.replace("'", "'\\''")


def _name(suite: str) -> str:
    """Another recipe makes another tree."""
    recipe = "\0".join((suite, *_COMMON, *SUITES[suite], _SETTLE))
    return f"{suite}-{sha256(recipe.encode()).hexdigest()[:8]}"


def _mirror() -> str:
    """The one that apt uses on this machine."""
    asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Identifier: Packages", "Component: main"]
    mirrors = [line for line in _run(asked).splitlines() if "security" not in line]
    if not mirrors:
        raise NoRootFileSystem("apt knows no Debian mirror here; run: apt-get update")
    return mirrors[0]


@contextmanager
def _lock(name: str) -> Iterator[None]:
    with (cache_folder() / f".{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-2000:]
        raise NoRootFileSystem(f"{command[0]} ended with {done.returncode}: {said}")
    return done.stdout
