"""Jars that start by themselves, as Spring Boot's build makes them: the jars that a program needs lie inside of one."""

import io
import re
import zipfile
from collections.abc import Mapping

_BOOT = re.compile(r"spring-boot-([0-9]+)\.([0-9]+)[0-9.]*\.jar")


def boot_jar(
    jars: Mapping[str, bytes], *, main: str, first: tuple[str, ...] = (), classes: Mapping[str, bytes] | None = None
) -> bytes:
    """One jar with all others and its own classes inside; Spring's loader among them is taken apart.

    `first` names the jars whose classes come before the others' (where two hold the same ones).
    """
    loader = next(name for name in jars if name.startswith("spring-boot-loader-"))
    rest = sorted(jars.keys() - {loader, *first})
    with zipfile.ZipFile(io.BytesIO(jars[loader])) as parts:
        files = {name: parts.read(name) for name in sorted(parts.namelist()) if name.endswith(".class")}
    files |= {f"BOOT-INF/classes/{name}": data for name, data in (classes or {}).items()}
    files |= {f"BOOT-INF/lib/{name}": jars[name] for name in (*first, *rest)}
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr(zipfile.ZipInfo("META-INF/MANIFEST.MF"), _manifest(jars, main))
        for folder in _folders(files):
            archive.writestr(zipfile.ZipInfo(folder), b"")
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return made.getvalue()


def _manifest(jars: Mapping[str, bytes], main: str) -> bytes:
    version = next(tuple(map(int, found.groups())) for name in jars if (found := _BOOT.fullmatch(name)))
    package = "org.springframework.boot.loader" + (".launch" if version >= (3, 2) else "")
    lines = {
        "Manifest-Version": "1.0",
        "Main-Class": f"{package}.PropertiesLauncher",
        "Start-Class": main,
        "Spring-Boot-Classes": "BOOT-INF/classes/",
        "Spring-Boot-Lib": "BOOT-INF/lib/",
    }
    return "".join(f"{key}: {value}\r\n" for key, value in lines.items()).encode()


def _folders(files: Mapping[str, bytes]) -> list[str]:
    """Every folder before what is in it: the loader looks for BOOT-INF/classes/ as an entry."""
    return sorted({name[: at.end()] for name in files for at in re.finditer("/", name)} | {"BOOT-INF/classes/"})
