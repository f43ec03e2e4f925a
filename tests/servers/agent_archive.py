"""The agent's self-contained archive of this checkout, built once, and variants of it: another version, a broken one.

archive = agent_archive()
newer = variant(archive, folder, version="0.2.0")
broken = variant(archive, folder, version="0.3.0", patch={"site/__main__.py": b"raise SystemExit(1)"})
"""

import atexit
import fcntl
import gzip
import hashlib
import io
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping
from copy import copy
from functools import cache
from pathlib import Path

from tests.servers.debian_suite import CHECKOUT, cache_folder

BUILDER = CHECKOUT / ".ci/agent"
_KEPT = 3


def agent_archive() -> Path:
    """towline-agent-VERSION-linux-x86_64.tar.gz; kept between runs for as long as nothing that goes into it changes.

    Safe to call from several pytest workers at once: one builds, the others wait.
    """
    folder = cache_folder() / "agent"
    folder.mkdir(exist_ok=True)
    with (folder / "built.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wheel = own_wheel()
        built = folder / "built" / _key(wheel)
        if not built.exists():
            part = built.with_name(built.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            build(wheel, part)
            part.rename(built)
            _sweep(built.parent)
        return next(built.glob("*.tar.gz"))


def build(wheel: Path, out: Path, only: str = "self-contained") -> Path:
    """Runs the builder, with fast compression; returns the archive."""
    command = [sys.executable, str(BUILDER), "--wheel", str(wheel), "--out", str(out), "--only", only, "--level", "1"]
    command += ["--cache", str(cache_folder() / "agent")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the agent's archive cannot be built:\n{done.stdout}{done.stderr}")
    return Path(done.stdout.strip())


@cache
def own_wheel() -> Path:
    """The wheel that nox built and installed, or one built now from the checkout."""
    given = os.environ.get("TOWLINE_WHEEL")
    if given:
        return Path(given)
    folder = Path(tempfile.mkdtemp(prefix="towline-wheel-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(CHECKOUT)]
    subprocess.run(command, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def unpack(archive: Path, root: Path) -> Path:
    """The unpacked release, as agentctl.sh lays it."""
    root.mkdir(parents=True)
    subprocess.run(["tar", "--extract", "--gzip", "--file", archive, "--directory", root], check=True)
    return root


def variant(
    archive: Path,
    folder: Path,
    *,
    version: str = "",
    patch: Mapping[str, bytes] | None = None,
    without: tuple[str, ...] = (),
) -> Path:
    """An archive in `folder` like `archive` but of another version, and with members replaced, added or left out.

    A version is changed everywhere: in `release`, in the name of the file, and in what the puller says of itself. A
    replaced source of ours is really what runs: its compiled form is left out. The same arguments give the same bytes.
    """
    with gzip.open(archive) as packed, tarfile.open(fileobj=packed, mode="r|") as tar:
        members = [(member, _read(tar, member)) for member in tar]
    old = dict(line.split("=", 1) for line in members[0][1].decode().splitlines())["version"]
    new = version or old
    patch = patch or {}
    dropped = {*without, *patch, *(_compiled(name) for name in patch)}
    kept = [_renamed(member, content, old, new) for member, content in members if member.name not in dropped]
    kept += [_added(name, content, kept[0][0].mtime) for name, content in sorted(patch.items())]
    kept.sort(key=lambda pair: (pair[0].name != "release", pair[0].name))
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / archive.name.replace(f"-{old}-", f"-{new}-")
    with (
        path.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for member, content in kept:
            tar.addfile(member, io.BytesIO(content))
    return path


def _read(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _renamed(member: tarfile.TarInfo, content: bytes, old: str, new: str) -> tuple[tarfile.TarInfo, bytes]:
    """A member as it is in the archive of another version."""
    name = member.name.replace(f"/towline-{old}.dist-info/", f"/towline-{new}.dist-info/")
    if name == "release":
        content = content.replace(f"\nversion={old}\n".encode(), f"\nversion={new}\n".encode())
    if name.endswith(f"/towline-{new}.dist-info/METADATA"):
        content = content.replace(f"\nVersion: {old}\n".encode(), f"\nVersion: {new}\n".encode(), 1)
    renamed = copy(member)  # TarInfo.replace came with Python 3.11.4, after Debian's
    renamed.name = name
    return _sized(renamed, content)


def _added(name: str, content: bytes, mtime: float) -> tuple[tarfile.TarInfo, bytes]:
    member = tarfile.TarInfo(name)
    member.mtime = mtime
    member.mode = 0o755 if content.startswith(b"#!") else 0o644
    return _sized(member, content)


def _sized(member: tarfile.TarInfo, content: bytes) -> tuple[tarfile.TarInfo, bytes]:
    member.size = len(content)
    return member, content


def _compiled(name: str) -> str:
    path = Path(name)
    return str(path.parent / "__pycache__" / f"{path.stem}.cpython-311.pyc")


def _key(wheel: Path) -> str:
    """Changes when anything changes that goes into the archive."""
    sources = sorted(path for path in BUILDER.rglob("*") if path.is_file() and path.suffix != ".pyc")
    digest = hashlib.sha256()
    for path in (wheel, CHECKOUT / ".ci/constraints.txt", *sources):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]


def _sweep(folder: Path) -> None:
    """Leaves the newest few: a checkout that is worked on would fill its cache."""
    newest = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
    for old in newest[_KEPT:]:
        shutil.rmtree(old)
