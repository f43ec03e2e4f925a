"""Archives of the agent for tests: small, with a puller that is a shell script; and hostile ones."""

import gzip
import io
import tarfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

PULLER = b"#!/bin/sh\necho fake\n"


def facts(version: str = "1.2.3", **more: str) -> bytes:
    """The file `release`."""
    lines = {"name": "towline-agent", "version": version, "architecture": "x86_64", "built_with": "self-contained"}
    return "".join(f"{key}={value}\n" for key, value in (lines | more).items()).encode()


def release_files(version: str = "1.2.3", *, puller: bytes = PULLER, ctl: bytes = b"#!/bin/bash\n") -> dict[str, bytes]:
    """What a release consists of at least."""
    return {"release": facts(version), "bin/towline-puller": puller, "ctl/agentctl.sh": ctl}


def archive(
    folder: Path,
    files: Mapping[str, bytes],
    *,
    add: Callable[[tarfile.TarFile], None] | None = None,
    name: str = "a.tar.gz",
) -> Path:
    """Packs files; `add` puts in what is not harmless."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wb", 1) as packed, tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for member, data in files.items():
            about = tarfile.TarInfo(member)
            about.size, about.mode = len(data), 0o755 if member.startswith(("bin/", "ctl/")) else 0o644
            tar.addfile(about, io.BytesIO(data))
        if add is not None:
            add(tar)
    return path


def hex_of(path: Path) -> str:
    """Its sha256."""
    return sha256(path.read_bytes()).hexdigest()


def member(name: str, **about: object) -> Callable[[tarfile.TarFile], None]:
    """Adds one member of any kind: `type`, `linkname`, `mode`, `size` as tarfile.TarInfo has them."""

    def add(tar: tarfile.TarFile) -> None:
        info = tarfile.TarInfo(name)
        for field, value in about.items():
            setattr(info, field, value)
        tar.addfile(info, _Zeros(info.size))

    return add


class _Zeros(io.RawIOBase):
    """So many zero bytes, without having them."""

    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1) -> bytes:
        """The next ones."""
        count = self._left if size < 0 else min(size, self._left)
        self._left -= count
        return bytes(count)
