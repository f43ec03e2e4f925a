"""The wheels of the agent: fetched once, and unpacked for the self-contained one."""

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Nothing newer than manylinux 2.28: what newer wheels need of libstdc++ and libc must be in every archive.
_PLATFORMS = ("manylinux_2_28", "manylinux_2_27", "manylinux_2_17", "manylinux2014", "manylinux_2_12", "manylinux2010")

_NOT_NEEDED = ("api/", "cffi/", "pycparser/")
"""The backend; and what only those need who compile against C: pygit2 and cryptography come compiled."""


def fetched(cache: Path, constraints: Path, wheel: Path, *, python: str, machine: str) -> list[Path]:
    """The wheels that the extra `puller` of `wheel` needs, in the pinned versions, for one Python and machine."""
    # Another wheel of ours may ask for others: its metadata is part of what the folder is for.
    key = hashlib.sha256(constraints.read_bytes() + _metadata(wheel)).hexdigest()[:16]
    folder = cache / f"wheels-{key}" / f"{python}-{machine}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=".part-", dir=folder.parent))
        platforms = [word for name in _PLATFORMS for word in ("--platform", f"{name}_{machine}")]
        options = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", python, *platforms]
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", *options]
        subprocess.run([*command, "--constraint", constraints, "--dest", part, f"{wheel}[puller]"], check=True)
        try:
            part.rename(folder)
        except OSError:  # somebody else, who builds at the same time, was faster
            shutil.rmtree(part)
    return sorted(path for path in folder.glob("*.whl") if not path.name.startswith("towline-"))


def version_of(wheel: Path) -> str:
    """The version that a wheel's name says."""
    return wheel.name.split("-")[1]


def lay_site(wheels: list[Path], site: Path) -> None:
    """Unpacks wheels into the folder that the interpreter imports from."""
    site.mkdir(parents=True)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            wanted = [name for name in archive.namelist() if not name.startswith(_NOT_NEEDED)]
            for name in wanted:
                if ".data/" in name:
                    raise RuntimeError(f"{wheel.name} brings {name}: teach lay_site where it belongs")
                if not name.endswith(("/RECORD", ".dist-info/WHEEL", ".pyi", ".c", ".h")):
                    archive.extract(name, site)


def _metadata(wheel: Path) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        return archive.read(next(name for name in archive.namelist() if name.endswith(".dist-info/METADATA")))
