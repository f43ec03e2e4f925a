"""The agent's archive: what is in it, and that it is the same whoever builds it."""

import hashlib
import struct
from pathlib import Path

import pytest

from tests.packaging.agent_release import members, run
from tests.servers.agent_archive import agent_archive as built
from tests.servers.agent_archive import build, own_wheel, unpack, variant

pytestmark = pytest.mark.xdist_group("agent-archive")


def test_what_it_is_stands_in_its_first_member(agent_archive: Path, release: Path) -> None:
    """`release` comes first, with the version of the wheel and of the file's name."""
    version = own_wheel().name.split("-")[1]
    facts = f"name=towline-agent\nversion={version}\narchitecture=x86_64\nbuilt_with=self-contained\n"
    assert (f"towline-agent-{version}-linux-x86_64.tar.gz", "release") == (
        agent_archive.name,
        members(agent_archive)[0].name,
    )
    assert facts == (release / "release").read_text()


def test_only_plain_files_are_in_it(agent_archive: Path) -> None:
    """No link, no device, no folder up, nothing that belongs to a person: root unpacks it."""
    found = members(agent_archive)
    plain = [
        member.isfile() and (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "") for member in found
    ]
    assert [True] * len(found) == plain
    assert [] == [member.name for member in found if member.name.startswith("/") or ".." in member.name.split("/")]


def test_two_builds_are_the_same_bytes(agent_archive: Path, tmp_path: Path) -> None:
    """The same wheel, constraints and packages give the same archive, whoever builds it when and where."""
    again = build(own_wheel(), tmp_path)
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in (agent_archive, again)]
    assert digests[0] == digests[1]


def test_it_is_small(agent_archive: Path) -> None:
    """Packed less than 30 MB, unpacked less than 80 MB, so that a VM with little disk takes two of them."""
    assert agent_archive.stat().st_size < 30e6
    assert sum(member.size for member in members(agent_archive)) < 80e6


def test_it_runs_on_the_kernel_of_centos_7(release: Path) -> None:
    """The notes of the libc and the interpreter ask for Linux 3.2 or less."""
    for name in ("lib/private/libc.so.6", "bin/python3.11"):
        assert oldest_kernel(release / name) <= (3, 2, 0)


def test_a_variant_says_its_own_version(agent_archive: Path, tmp_path: Path) -> None:
    """What the tests of upgrades are built on: another version, everywhere; and the same bytes each time."""
    first, second = (variant(agent_archive, tmp_path / name, version="9.8.7") for name in ("a", "b"))
    root = unpack(first, tmp_path / "release")
    assert "towline-agent-9.8.7-linux-x86_64.tar.gz" == first.name
    assert "9.8.7\n" == run(root / "bin/towline-puller", "--version")
    assert "version=9.8.7" == (root / "release").read_text().splitlines()[1]
    assert first.read_bytes() == second.read_bytes()


def test_it_is_built_once(agent_archive: Path) -> None:
    """Asked again, the same file is there."""
    before = agent_archive.stat().st_mtime_ns
    assert (agent_archive, before) == (built(), agent_archive.stat().st_mtime_ns)


def oldest_kernel(library: Path) -> tuple[int, ...]:
    """The Linux that the ABI note of an ELF file asks for at least (NT_GNU_ABI_TAG of the gABI's notes)."""
    data = library.read_bytes()
    header = struct.pack("<III", 4, 16, 1) + b"GNU\0"
    system, *version = struct.unpack_from("<4I", data, data.index(header) + len(header))
    assert 0 == system, "not a note about Linux"
    return tuple(version)
