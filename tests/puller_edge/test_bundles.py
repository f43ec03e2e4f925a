"""Bundles of scripts: what is refused of an archive, and what is noticed on disk."""

import gzip
import io
import lzma
import os
import stat
import tarfile
from pathlib import Path

import pytest

from desired_state.contract import Verb
from desired_state.names import digest_of
from puller.bundles import MAX_UNPACKED_BYTES, Bundle, BundleDamaged, Bundles, check_bundle
from puller.ports import Stalled, Unavailable
from tests.puller_edge.conftest import raised

INDEX = (
    b'{"schema":"towline.bundle/1","kinds":{"redis":{"schema":"towline.meta/1","kind":"redis",'
    b'"verbs":{"start":{"timeout_s":60}}}}}'
)
FILES = {
    "common.sh": b"true\n",
    "common/file.sh": b"file() { :; }\n",
    "redisctl.sh": b"echo hello\n",
    "template/a/b/redis.conf": b"port\n",
    "kinds.json": INDEX,
}


def archive(files: dict[str, bytes] = FILES, *extra: tarfile.TarInfo) -> bytes:
    """A plain tar with these files, then these members as they are."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            info.mode = 0o4777
            tar.addfile(info, io.BytesIO(data))
        for info in extra:
            tar.addfile(info, io.BytesIO(b"x" * info.size))
    return buffer.getvalue()


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", size: int = 0) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, link, size
    return info


def opened(tmp_path: Path, data: bytes, digest: str = "") -> Bundle:
    path = tmp_path / "archive"
    path.write_bytes(data)
    return Bundles(tmp_path / "bundles").open(path, digest or digest_of(data))


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["tar", "gz", "xz"])
def test_bundle_is_unpacked(tmp_path: Path, pack) -> None:
    """Files lie in bundles/<hex> with our modes, scripts executable, and the index is read."""
    data = pack(archive())
    bundle = opened(tmp_path, data)
    assert tmp_path / "bundles" / digest_of(data).removeprefix("sha256:") == bundle.path
    assert FILES == {name: (bundle.path / name).read_bytes() for name in listing(bundle.path)}
    assert {Verb.START: 60} == {verb: meta.timeout_s for verb, meta in bundle.index.kinds["redis"].verbs.items()}
    names = [".", "common", "template/a", "redisctl.sh", "common/file.sh", "kinds.json"]
    modes = [stat.S_IMODE((bundle.path / name).stat().st_mode) for name in names]
    assert [0o755, 0o755, 0o755, 0o555, 0o555, 0o444] == modes
    check_bundle(bundle)


def test_archive_with_another_digest(tmp_path: Path) -> None:
    """An archive that is not the pinned one is not looked into."""
    assert "it is not used" in str(raised(Stalled, lambda: opened(tmp_path, archive(), digest_of(b"other"))))


@pytest.mark.parametrize(
    "name",
    [
        "../evil.sh",
        "/etc/evil.sh",
        "a/../../evil.sh",
        "a/b/c/d/evil.sh",
        "a//evil.sh",
        "a/",
        "a/.hidden",
        "./evil.sh",
        "..",
        ".",
        "",
        ".hidden",
        "-rf",
        "a b",
        "a\nb",
        "ä.sh",
    ],
)
def test_odd_names_are_refused(tmp_path: Path, name: str) -> None:
    """Only plain names, at most three folders deep: nothing traverses, hides, or starts an option."""
    error = raised(Stalled, lambda: opened(tmp_path, archive(FILES | {name: b"x"})))
    assert "is refused" in str(error)
    assert ["archive"] == listing(tmp_path)


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
        b"Q",
    ],
)
def test_only_regular_files(tmp_path: Path, kind: bytes) -> None:
    """No link, no folder, no device, no sparse file, nothing unknown."""
    error = raised(Stalled, lambda: opened(tmp_path, archive(FILES, member("odd", kind, "common.sh"))))
    assert "is refused" in str(error)
    assert ["archive"] == listing(tmp_path)


@pytest.mark.parametrize("name", ["common.sh", "common/file.sh", "common", "template/a", "redisctl.sh/x"])
def test_name_twice(tmp_path: Path, name: str) -> None:
    """Two files of one name, or a name that is file and folder: which one was reviewed?"""
    error = raised(Stalled, lambda: opened(tmp_path, archive(FILES, member(name))))
    assert f"'{name}' is there twice" in str(error)


def test_too_many_files(tmp_path: Path) -> None:
    """The number of files is bounded."""
    files = FILES | {f"f{number}": b"" for number in range(500)}
    assert "at most 500" in str(raised(Stalled, lambda: opened(tmp_path, archive(files))))


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_bomb(tmp_path: Path, pack) -> None:
    """A small archive of a huge file is not unpacked further than the bound."""
    data = pack(archive(FILES, member("zeros", size=MAX_UNPACKED_BYTES)))
    error = raised(Stalled, lambda: opened(tmp_path, data))
    assert "unpacked" in str(error)
    assert ["archive"] == listing(tmp_path)


def test_truncated_archives(tmp_path: Path) -> None:
    """Cut anywhere, no archive becomes a bundle without one of its files."""
    data = gzip.compress(archive())
    for length in range(0, len(data), 7):
        raised(Stalled, lambda cut=data[:length]: opened(tmp_path, cut))
    plain = archive()
    for length in range(0, 9 * 512 + len(INDEX), 128):
        raised(Stalled, lambda cut=plain[:length]: opened(tmp_path, cut))
    assert ["archive"] == listing(tmp_path)


@pytest.mark.parametrize(
    ("files", "text"),
    [
        ({"redisctl.sh": b""}, "it has no kinds.json"),
        (FILES | {"kinds.json": b"{"}, "kinds.json: "),
        (FILES | {"kinds.json": INDEX.replace(b"timeout_s", b"timeout")}, "kinds.json: "),
        ({"kinds.json": INDEX}, "names kinds without a script: redis"),
    ],
)
def test_index_must_be_sound(tmp_path: Path, files: dict[str, bytes], text: str) -> None:
    """A bundle whose index cannot be read, or names a kind that has no script, is refused."""
    assert text in str(raised(Stalled, lambda: opened(tmp_path, archive(files))))


def _replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"echo evil!\n")


def _rewrite_in_place(path: Path) -> None:
    """Same size, same times: only ctime tells."""
    facts = path.stat()
    path.chmod(0o755)
    path.write_bytes(b"echo evil!\n")
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/etc/hostname")


def _add(path: Path) -> None:
    (path.parent / "extra.sh").write_bytes(b"")


def _add_below(path: Path) -> None:
    (path.parent / "common/extra.sh").write_bytes(b"")


def _link_folder(path: Path) -> None:
    (path.parent / "common").rename(path.parent.parent / "moved")
    (path.parent / "common").symlink_to(path.parent.parent / "moved")


def _link_all(path: Path) -> None:
    path.parent.rename(path.parent.parent / "moved")
    path.parent.symlink_to(path.parent.parent / "moved")


DAMAGES = [_link_all, _add_below, _link_folder, _replace, _rewrite_in_place, _link, _add, Path.unlink]


@pytest.mark.parametrize("damage", DAMAGES)
def test_changed_script_is_noticed_before_it_runs(tmp_path: Path, damage) -> None:
    """A script changed, swapped for a link, added or taken away by hand is not what the document pins."""
    bundle = opened(tmp_path, archive())
    damage(bundle.path / "redisctl.sh")
    raised(BundleDamaged, lambda: check_bundle(bundle))


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_bundle_is_put_right(tmp_path: Path, damage) -> None:
    """Opened again, it is unpacked again, and nothing odd is left beside it."""
    damage(opened(tmp_path, archive()).path / "redisctl.sh")
    bundle = opened(tmp_path, archive())
    check_bundle(bundle)
    assert {bundle.path.name} == {path.name for path in (tmp_path / "bundles").iterdir()} - {"moved"}


def test_touched_file_with_the_same_bytes_is_fine(tmp_path: Path) -> None:
    """A restore from a backup changes times, not content."""
    bundle = opened(tmp_path, archive())
    os.utime(bundle.path / "redisctl.sh", (1, 1))
    check_bundle(bundle)


def test_script_that_runs_keeps_its_file(tmp_path: Path) -> None:
    """Bash reads a script while it runs: putting a bundle right never changes an open file."""
    path = opened(tmp_path, archive()).path
    with (path / "redisctl.sh").open("rb") as running:
        (path / "extra.sh").write_bytes(b"")
        opened(tmp_path, archive())
        assert FILES["redisctl.sh"] == running.read()


def test_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """It is said where, and it may pass."""
    (tmp_path / "bundles").write_text("a file")
    assert f"cannot be unpacked in {tmp_path}/bundles" in str(raised(Unavailable, lambda: opened(tmp_path, archive())))


def test_opening_again_writes_nothing(tmp_path: Path) -> None:
    """A true bundle stays as it is."""
    first = opened(tmp_path, archive())
    assert first.marks == opened(tmp_path, archive()).marks


def test_sweep(tmp_path: Path) -> None:
    """Unused bundles and half-made ones go, the used one stays."""
    first = opened(tmp_path, archive())
    opened(tmp_path, archive(FILES | {"more.sh": b""}))
    (tmp_path / "bundles" / ".half.tmp").mkdir()
    removed = Bundles(tmp_path / "bundles").sweep([first.digest])
    assert (2, [first.path.name]) == (removed, os.listdir(tmp_path / "bundles"))
