"""MongoDB's archive, in upstream's layout, with SecantusDB in MongoDB's place: no registry carries a mongod.

SecantusDB (PyPI) speaks MongoDB's protocol on the real WiredTiger engine and says of itself that it is 8.2.11.
`bin/mongod` is a shim (mongodb_shim.py) that takes a mongod.conf. It runs on the machine's own Python, which must be
the one of the wheels.
"""

import subprocess
import zipfile
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive
from tests.middleware.packages import wheel_of

_WHEELS = ("secantusdb-0.7.0", "pymongo-4.20.0", "dateutil-4.0.0")
_PYTHON = "/usr/bin/python3"
_LEFT_OUT = ("secantus/admin/static/", "secantus/opsboard/", "secantus/sql/", "secantusdb-0.7.0b3.dist-info/")


def mongodb_archive(version: str = "8.2.11", cache: Path | None = None) -> Package:
    """`mongodb-linux-x86_64-<version>/bin/mongod`; 8.2.11 only."""
    if version != "8.2.11":
        raise Unavailable(f"mongodb {version}: not known here; known is 8.2.11, as SecantusDB says")
    said = subprocess.run([_PYTHON, "--version"], capture_output=True, text=True, check=False, timeout=60).stdout
    if not said.startswith("Python 3.11."):
        raise Unavailable(f"SecantusDB's wheel is for Python 3.11, and {_PYTHON} is {said.strip() or 'not there'}")
    folder = cache or cache_folder()
    shim = Path(__file__).with_name("mongodb_shim.py").read_bytes()
    files: dict[str, tuple[bytes, int]] = {"bin/mongod": (shim, 0o755)}
    for name in _WHEELS:
        with zipfile.ZipFile(wheel_of(name, folder)) as wheel:
            for member in wheel.namelist():
                if not member.startswith(_LEFT_OUT) and not member.endswith("/"):
                    files[f"lib/{member}"] = (wheel.read(member), 0o644)
    return made_archive("mongodb", version, files, cache, top=f"mongodb-linux-x86_64-{version}")
