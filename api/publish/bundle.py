"""The script bundle: the service scripts as one file, named by its digest, the same bytes wherever it is made.

A plain tar: what a compressor writes differs between its versions, and then two replicas would publish two digests for
the same scripts. `kinds.json` in it holds what each script says of itself, so that no host need run `meta` again.
"""

import io
import os
import re
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import msgspec
from msgspec import Struct

from api.errors import Misconfigured
from desired_state.contract import BundleIndex, KindMeta
from desired_state.document import Artifact
from desired_state.meta_problems import meta_problems
from desired_state.names import Kind, digest_of
from desired_state.shipped import SCRIPT_FOLDERS

INDEX = "kinds.json"
MAX_BYTES = 16 << 20
"""No bundle is larger: scripts are text."""
META_TIMEOUT_S = 10
_META_BYTES = 1 << 20
_CONTROL = re.compile(r"^([a-z][a-z0-9_]{0,31})ctl\.sh$")
_PATH = re.compile(r"^([A-Za-z0-9_][A-Za-z0-9._-]*/){0,3}[A-Za-z0-9_][A-Za-z0-9._-]*$")

Scripts = Mapping[str, bytes]
"""Paths relative to the scripts' folder, and their bytes."""


class Bundle(Struct, frozen=True, kw_only=True):
    """One bundle: how documents name it, its bytes, and the kinds in it."""

    artifact: Artifact
    data: bytes
    kinds: dict[Kind, KindMeta]


class BadScript(Exception):
    """A script that cannot be in a bundle; `path` is relative to the scripts' folder, the text says what is wrong."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"scripts/{path}: {message}")
        self.path = path
        self.message = message


def shipped_folder() -> Path:
    """Where the scripts that come with towline lie: inside the installed wheel, or in the checkout."""
    for folder in map(Path, SCRIPT_FOLDERS):
        if (folder / "common.sh").is_file():
            return folder
    raise Misconfigured(f"the service scripts are missing: none of {', '.join(SCRIPT_FOLDERS)} holds a common.sh")


def read_scripts(folder: Path) -> dict[str, bytes]:
    """Every file below a scripts' folder; hidden files and whatever is no plain file are left out."""
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not path.is_file() or not _PATH.match(name) or name == INDEX:
            continue
        found[name] = path.read_bytes()
    return found


def merge_scripts(shipped: Scripts, own: Scripts) -> dict[str, bytes]:
    """The scripts of towline and those of the catalogue's own repository. Raises BadScript where they contradict.

    A repository adds kinds; it replaces nothing. Otherwise an upgrade of towline would change what a file means.
    """
    for path, data in own.items():
        if shipped.get(path, data) != data:
            raise BadScript(path, "towline ships a file of that name; give yours another")
        if not _PATH.match(path):
            raise BadScript(path, "is not a name that a bundle can hold (letters, digits, dot, dash, three folders)")
    return {**shipped, **own}


def make_bundle(scripts: Scripts) -> Bundle:
    """The bundle of these scripts. Runs `meta` of each script that it has not seen yet. Raises BadScript."""
    ordered = tuple(sorted(scripts.items()))
    return _make_bundle(ordered)


@lru_cache(maxsize=8)
def _make_bundle(scripts: tuple[tuple[str, bytes], ...]) -> Bundle:
    kinds = _read_kinds(dict(scripts))
    index = msgspec.json.format(msgspec.json.encode(BundleIndex(kinds=kinds), order="deterministic"), indent=2) + b"\n"
    data = _tar({**dict(scripts), INDEX: index})
    if len(data) > MAX_BYTES:
        raise BadScript("", f"all scripts together are {len(data)} bytes; a bundle has at most {MAX_BYTES}")
    artifact = Artifact(digest=digest_of(data), size=len(data), file=f"scripts-{sha256(data).hexdigest()[:12]}.tar")
    return Bundle(artifact=artifact, data=data, kinds=kinds)


def _tar(files: Scripts) -> bytes:
    """The files in order, without anything that depends on who packs them, or where, or when."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            member = tarfile.TarInfo(name)  # owner 0:0, mtime 0, no names
            member.size = len(files[name])
            member.mode = 0o755 if name.endswith(".sh") else 0o644
            archive.addfile(member, io.BytesIO(files[name]))
    return buffer.getvalue()


def _read_kinds(scripts: Scripts) -> dict[Kind, KindMeta]:
    with tempfile.TemporaryDirectory(prefix="towline-meta-") as name:
        folder = Path(name)
        for path, data in scripts.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(data)
        controls = [(match[1], path) for path in sorted(scripts) if (match := _CONTROL.match(path))]
        return {kind: _read_meta(folder, kind, path) for kind, path in controls}


def _read_meta(folder: Path, kind: str, path: str) -> KindMeta:
    output = _run_meta(folder, path)
    try:
        meta = msgspec.json.decode(output, type=KindMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadScript(path, f"what it prints for `meta` does not fit the contract: {error}") from error
    problems = meta_problems(meta, kind)
    if problems:
        raise BadScript(path, "; ".join(problems))
    return meta


def _run_meta(folder: Path, path: str) -> bytes:
    """Standard output of `meta`, run as the contract says: no environment, no input, bounded time and output."""
    environment = {"PATH": os.defpath, "HOME": str(folder), "LANG": "C.UTF-8"}
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = subprocess.Popen(
            ["bash", str(folder / path), "meta"],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(META_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise BadScript(path, f"did not answer `meta` within {META_TIMEOUT_S} s") from error
        out.seek(0)
        err.seek(0)
        if code != 0:
            said = err.read(500).decode(errors="replace").strip()
            raise BadScript(path, f"`meta` ended with exit code {code}: {said}")
        return out.read(_META_BYTES)


def kinds_of_shipped() -> dict[Kind, KindMeta]:
    """The kinds that come with towline."""
    return make_bundle(read_scripts(shipped_folder())).kinds
