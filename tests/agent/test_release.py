"""release.sh: from an archive to a release, whole or not there; hostile ones are refused before a byte is written."""

import os
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.agent.archives import archive, facts, hex_of, member, release_files
from tests.agent.parts import Told, call


def unpack(folder: Path, path: Path, *, digest: str = "") -> Told:
    return call(folder, f"take_lock 5; unpack_release '{path}' '{digest or hex_of(path)}'; echo \"$REPLY\"")


def releases(folder: Path) -> list[str]:
    """Everything in the releases' folder, also what should not be there."""
    return sorted(os.listdir(folder / "prefix/agent/releases")) if (folder / "prefix/agent/releases").exists() else []


def test_release_has_the_name_of_its_version_and_digest(tmp_path: Path) -> None:
    """An archive becomes releases/<version>-<12 hex>, its files runnable, with nothing beside it."""
    path = archive(tmp_path, release_files("1.2.3"))
    told = unpack(tmp_path, path)
    name = f"1.2.3-{hex_of(path)[:12]}"
    assert (0, f"{name}\n", [name]) == (told.code, told.out, releases(tmp_path)), told.err
    puller = tmp_path / "prefix/agent/releases" / name / "bin/towline-puller"
    assert 0o755 == puller.stat().st_mode & 0o777


def test_unpacked_once(tmp_path: Path) -> None:
    """A release that is there and whole is left alone."""
    path = archive(tmp_path, release_files())
    name = unpack(tmp_path, path).out.strip()
    before = (tmp_path / "prefix/agent/releases" / name).stat()
    assert 0 == unpack(tmp_path, path).code
    after = (tmp_path / "prefix/agent/releases" / name).stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


@pytest.mark.parametrize("harm", ["removed", "changed"])
def test_damaged_release_is_made_anew(tmp_path: Path, harm: str) -> None:
    """A file that was removed or changed is back as the archive has it."""
    path = archive(tmp_path, release_files())
    puller = tmp_path / "prefix/agent/releases" / unpack(tmp_path, path).out.strip() / "bin/towline-puller"
    whole = puller.read_bytes()
    if harm == "removed":
        puller.unlink()
    else:
        puller.write_bytes(b"#!/bin/sh\nexit 9\n")
    assert 0 == unpack(tmp_path, path).code
    assert (whole, 1) == (puller.read_bytes(), len(releases(tmp_path)))


def test_what_a_killed_call_left_is_swept(tmp_path: Path) -> None:
    """A half unpacked tree is gone after the next call."""
    half = tmp_path / "prefix/agent/releases/.new-abcdefgh"
    half.mkdir(parents=True)
    (half / "release").write_bytes(b"half")
    path = archive(tmp_path, release_files())
    name = unpack(tmp_path, path).out.strip()
    assert [name] == releases(tmp_path)


DEVICE = {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}
HOSTILE: dict[str, Callable[[tarfile.TarFile], None]] = {
    "a name that leads out": member("../escaped"),
    "a name that leads out in the middle": member("bin/../../escaped"),
    "an absolute name": member("/escaped"),
    "a link that leads out": member("bin/out", type=tarfile.SYMTYPE, linkname="../../../escaped"),
    "an absolute link": member("bin/out", type=tarfile.SYMTYPE, linkname="/etc"),
    "a link within": member("bin/in", type=tarfile.SYMTYPE, linkname="towline-puller"),
    "a hard link out": member("bin/hard", type=tarfile.LNKTYPE, linkname="/etc/passwd"),
    "a device": member("bin/null", **DEVICE),
    "a pipe": member("bin/pipe", type=tarfile.FIFOTYPE),
    "a setuid program": member("bin/root", mode=0o4755),
    "a name with a line end": member("bin/a\nb"),
    "a bomb": member("site/zeros", size=1200 << 20),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_hostile_archive_is_refused(tmp_path: Path, what: str) -> None:
    """Exit 6 and the reason; nothing was written, within or without."""
    path = archive(tmp_path, release_files(), add=HOSTILE[what])
    told = unpack(tmp_path, path)
    assert (6, True, []) == (told.code, "the archive is refused" in told.err, releases(tmp_path)), told.err
    assert [] == list(tmp_path.rglob("*escaped*"))


WRONG = {
    "no release file": {"bin/towline-puller": b"", "ctl/agentctl.sh": b""},
    "another program's": release_files() | {"release": b"name=other\nversion=1\narchitecture=any\n"},
    "a version that leads out": release_files() | {"release": facts("../../x")},
    "another machine's": release_files() | {"release": facts(architecture="sparc")},
    "without a puller": {"release": facts(), "ctl/agentctl.sh": b""},
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_release_for_this_host_is_refused(tmp_path: Path, what: str) -> None:
    """Exit 6 and the reason, and no trace of it."""
    told = unpack(tmp_path, archive(tmp_path, WRONG[what]))
    assert (6, True, []) == (told.code, "the archive is refused" in told.err, releases(tmp_path)), told.err


def test_another_digest_is_refused(tmp_path: Path) -> None:
    """The archive must be the one that was asked for, before tar sees it."""
    told = unpack(tmp_path, archive(tmp_path, release_files()), digest="0" * 64)
    assert (6, True, []) == (told.code, "its sha256 is" in told.err, releases(tmp_path))


@pytest.mark.parametrize("keep", [0.0, 0.3, 0.6, 0.99])
def test_cut_off_archive_is_refused(tmp_path: Path, keep: float) -> None:
    """Wherever it ends too early, and although the digest fits: no release, and it is said."""
    path = archive(tmp_path, release_files() | {"site/data": os.urandom(200_000)})
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
    told = unpack(tmp_path, path)
    assert (6, []) == (told.code, releases(tmp_path)), told.err


def test_links_are_switched_and_read(tmp_path: Path) -> None:
    """current and good lead to releases that are there, and to no other."""
    path = archive(tmp_path, release_files())
    name = unpack(tmp_path, path).out.strip()
    told = call(
        tmp_path, f"switch_release current {name}; release_of current; echo $REPLY; release_of good || echo none"
    )
    assert (0, f"{name}\nnone\n") == (told.code, told.out), told.err
    assert f"releases/{name}" == os.readlink(tmp_path / "prefix/agent/current")
    assert 1 == call(tmp_path, "switch_release current 9.9-000000000000").code


def test_sweep_keeps_current_good_the_trial_and_one_more(tmp_path: Path) -> None:
    """Of six releases, two that nobody needs go: the oldest ones."""
    names = []
    for number in range(6):
        path = archive(tmp_path, release_files(f"1.{number}"), name=f"{number}.tar.gz")
        names.append(unpack(tmp_path, path).out.strip())
        os.utime(tmp_path / "prefix/agent/releases" / names[-1], (number, number))
    (tmp_path / "prefix/agent/trial").write_text(f"release={names[3]}\nfrom={names[0]}\n")
    told = call(tmp_path, f"switch_release good {names[0]}; switch_release current {names[3]}; sweep_releases")
    assert (0, sorted([names[0], names[3], names[5]])) == (told.code, releases(tmp_path)), told.err


@pytest.mark.parametrize("name", ["", "../x", "agent/../../x", "/etc", "home", "agent/./../x"])
def test_nothing_else_is_removed(tmp_path: Path, name: str) -> None:
    """The guard of removals lets through what is the agent's, by a name without a detour."""
    (tmp_path / "x").mkdir()
    (tmp_path / "prefix/home").mkdir(parents=True)
    told = call(tmp_path, f"remove_below '{name}'")
    assert (1, True, True) == (told.code, "will not remove" in told.err, (tmp_path / "x").is_dir())


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    """An archive of wheels: one, of a puller that says where it runs."""
    made = tmp_path / "towline-1.2.3-py3-none-any.whl"
    with zipfile.ZipFile(made, "w") as wheel:
        wheel.writestr("puller/__init__.py", "")
        wheel.writestr("puller/cli.py", "import sys\n\ndef main():\n    print(sys.prefix)\n")
        about = "towline-1.2.3.dist-info"
        wheel.writestr(
            f"{about}/METADATA", "Metadata-Version: 2.1\nName: towline\nVersion: 1.2.3\nProvides-Extra: puller\n"
        )
        wheel.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{about}/RECORD", "")
    files = release_files() | {"release": facts(architecture="any", built_with="wheels")}
    return archive(tmp_path, files | {f"wheels/{made.name}": made.read_bytes()})


MAIN = "-I -c 'from puller.cli import main; main()'"


def test_wheels_become_an_environment_of_their_own(tmp_path: Path, wheels: Path) -> None:
    """With a Python of this host, without an index; it works in its place, and is made anew where it does not."""
    told = unpack(tmp_path, wheels)
    venv = tmp_path / "prefix/agent/releases" / told.out.strip() / "venv"
    assert (0, f"{venv}\n") == (told.code, call(tmp_path, f"'{venv}/bin/python' {MAIN}").out), told.err
    (venv / "pyvenv.cfg").unlink()
    shutil.rmtree(next(venv.glob("lib/*/site-packages/puller")))
    assert "was damaged" in unpack(tmp_path, wheels).err
    assert f"{venv}\n" == call(tmp_path, f"'{venv}/bin/python' {MAIN}").out


def test_wheels_without_a_python_that_fits(tmp_path: Path, wheels: Path) -> None:
    """Exit 5, what is needed, and no release."""
    code = f"find_python() {{ false; }}; take_lock 5; unpack_release '{wheels}' '{hex_of(wheels)}'"
    told = call(tmp_path, code)
    assert (5, True, []) == (told.code, "Python 3.11 or newer with venv" in told.err, releases(tmp_path)), told.err
