"""A package file is judged before it is added: as hosts judge it, and all at once."""

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from api.publish.archive_layout import Layout, layout_of

VALKEY = (("bin/redis-server", "bin/valkey-server"),)


def member(name: str, *, kind: bytes = tarfile.REGTYPE, target: str = "", mode: int = 0o755) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.mode = kind, target, mode
    made.size = 3 if kind == tarfile.REGTYPE else 0
    return made


def archive(folder: Path, *members: tarfile.TarInfo, how: str = "gz") -> Path:
    path = folder / f"made.tar.{how}"
    with tarfile.open(path, f"w:{how}") as tar:
        for one in members:
            tar.addfile(one, io.BytesIO(b"abc"))
    return path


@pytest.mark.parametrize("how", ["gz", "xz", "bz2", ""])
def test_what_a_host_takes(tmp_path: Path, how: str) -> None:
    """Each way of packing; members are counted, and the one folder around all is named."""
    path = archive(tmp_path, member("valkey-8/bin/valkey-server"), member("valkey-8/README", mode=0o644), how=how)
    assert Layout(members=2, size=6, top="valkey-8") == layout_of(path, VALKEY)


def test_without_a_folder_around_it(tmp_path: Path) -> None:
    """`./bin/...` is as good."""
    path = archive(tmp_path, member("./bin", kind=tarfile.DIRTYPE), member("./bin/redis-server"), member("lib/x"))
    assert Layout(members=3, size=6) == layout_of(path, VALKEY)


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (member("/etc/passwd"), "'/etc/passwd' leads out"),
        (member("a/../../b"), "'a/../../b' leads out"),
        (member("dev", kind=tarfile.CHRTYPE), "'dev' is neither file, folder nor link"),
        (member("pipe", kind=tarfile.FIFOTYPE), "'pipe' is neither"),
        (member("su", mode=0o4755), "'su' has a setuid"),
        (member("a/l", kind=tarfile.SYMTYPE, target="../../etc"), "the link 'a/l' leads out to '../../etc'"),
        (member("l", kind=tarfile.SYMTYPE, target="/etc"), "the link 'l' leads out to '/etc'"),
        (member("h", kind=tarfile.LNKTYPE, target="../x"), "the link 'h' leads out to '../x'"),
        (member("lnk/inside"), "'lnk/inside' lies below the link 'lnk'"),
    ],
)
def test_what_no_host_takes(tmp_path: Path, bad: tarfile.TarInfo, told: str) -> None:
    """Each of them is told by its name."""
    path = archive(tmp_path, member("lnk", kind=tarfile.SYMTYPE, target="bin"), member("bin/redis-server"), bad)
    assert [True] == [problem.startswith(told) for problem in layout_of(path, VALKEY).problems]


def test_all_is_told_at_once(tmp_path: Path) -> None:
    """And no more than a person reads."""
    path = archive(tmp_path, member("/a"), member("b/../../c"), *(member(f"/{n}") for n in range(100)))
    assert 20 == len(layout_of(path).problems)


def test_the_program_is_missing(tmp_path: Path) -> None:
    """The names that the kind looks for, and where it looks; a program must be executable."""
    without = archive(tmp_path, member("valkey-8/src/server.c"), member("valkey-8/Makefile"))
    assert ("has no bin/redis-server and no bin/valkey-server below valkey-8/",) == layout_of(without, VALKEY).problems
    dull = archive(tmp_path, member("v/bin/redis-server", mode=0o644), member("v/x"))
    assert ("bin/redis-server is not executable",) == layout_of(dull, VALKEY).problems
    jars = archive(tmp_path, member("k/libs/kafka-clients-4.1.0.jar", mode=0o644), member("k/bin/x"))
    assert () == layout_of(jars, (("libs/kafka-clients-*.jar",), ("bin/x",))).problems


def test_no_archive(tmp_path: Path) -> None:
    """Text, a zip, nothing at all, and an archive that was cut off."""
    file = tmp_path / "made.tar.gz"
    file.write_bytes(b"<html>404</html>")
    assert "is no archive that tar can unpack" in layout_of(file).problems[0]
    file.write_bytes(b"")
    assert 1 == len(layout_of(file).problems)
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("bin/x", "x")
    assert "pack it anew as .tar.gz" in layout_of(file).problems[0]
    whole = archive(tmp_path, *(member(f"v/{n}") for n in range(2000)))
    whole.write_bytes(whole.read_bytes()[:-400])
    assert "is damaged or cut off" in layout_of(whole).problems[0]


def test_a_jar(tmp_path: Path) -> None:
    """Is taken as it is, when it is one."""
    jar = tmp_path / "app.jar"
    with zipfile.ZipFile(jar, "w") as made:
        made.writestr("META-INF/MANIFEST.MF", "")
    assert () == layout_of(jar).problems
    jar.write_bytes(jar.read_bytes()[:-10])
    assert 1 == len(layout_of(jar).problems)
