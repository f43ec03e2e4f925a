"""Unpacking a package: whatever a hostile archive holds, nothing appears outside, and nothing half appears inside."""

import io
import os
import subprocess
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from tests.middleware import Package
from tests.scripts.calling import Service

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, data: bytes = b"#!/bin/sh\necho nginx/1.2.3 >&2\n", mode: int = 0o755) -> Member:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    return member, data


def odd(name: str, kind: bytes, target: str = "", mode: int = 0o755) -> Member:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.mode = kind, target, mode
    return member, b""


def owned(member: Member, uid: int) -> Member:
    member[0].uid = member[0].gid = uid
    return member


SERVER = file("nginx-1.2.3/sbin/nginx")
HOSTILE: dict[str, list[Member]] = {
    "an absolute name": [SERVER, file("/etc/towline-canary")],
    "a name with dots": [SERVER, file("nginx-1.2.3/../../../towline-canary")],
    "a link to an absolute place": [SERVER, odd("nginx-1.2.3/etc", tarfile.SYMTYPE, "/etc")],
    "a link that leads out": [SERVER, odd("nginx-1.2.3/out", tarfile.SYMTYPE, "../../..")],
    "a link that leads out by a detour": [SERVER, odd("nginx-1.2.3/a/b/out", tarfile.SYMTYPE, "../../../../x")],
    "a member below a link": [SERVER, odd("nginx-1.2.3/d", tarfile.SYMTYPE, "sbin"), file("nginx-1.2.3/d/x")],
    "a hard link that leads out": [SERVER, odd("nginx-1.2.3/hard", tarfile.LNKTYPE, "../../etc/passwd")],
    "a hard link to an absolute place": [SERVER, odd("nginx-1.2.3/hard", tarfile.LNKTYPE, "/etc/passwd")],
    "a device": [SERVER, odd("nginx-1.2.3/null", tarfile.CHRTYPE)],
    "a named pipe": [SERVER, odd("nginx-1.2.3/pipe", tarfile.FIFOTYPE)],
    "a setuid program": [SERVER, file("nginx-1.2.3/sbin/su", mode=0o4755)],
    "a setgid program": [SERVER, file("nginx-1.2.3/sbin/sg", mode=0o2755)],
}


def packed(folder: Path, members: list[Member]) -> Package:
    path = folder / "nginx-1.2.3.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for member, data in members:
            archive.addfile(member, io.BytesIO(data))
    return Package(name="nginx", version="1.2.3", path=path, digest=f"sha256:{sha256(path.read_bytes()).hexdigest()}")


def installing(folder: Path, package: Package) -> Service:
    return Service(kind="nginx", name="web", folder=folder, version="1.2.3", packages={"server": package})


@pytest.mark.parametrize("what", HOSTILE)
def test_refused(folder: Path, what: str) -> None:
    """Exit 6 with the member's name; no program folder, no file outside."""
    service = installing(folder, packed(folder, HOSTILE[what]))
    said = service.call("install")
    assert (6, True) == (said.code, "the archive is refused: " in said.reason), said.err
    assert not (service.prefix / "packages" / "nginx-1.2.3").exists()
    assert not Path("/etc/towline-canary").exists()
    assert [] == list(folder.rglob("towline-canary"))


def test_more_than_the_bound_is_refused_by_its_table_of_contents(folder: Path) -> None:
    """A member that claims 5 GiB is refused before a byte of it is written."""
    member = tarfile.TarInfo("nginx-1.2.3/big")
    member.size = 5 << 30
    path = folder / "nginx-1.2.3.tar"
    path.write_bytes(member.tobuf() + b"\0" * 10240)
    package = Package(name="nginx", version="1.2.3", path=path, digest="sha256:" + "0" * 64)
    said = installing(folder, package).call("install")
    assert (6, True) == (said.code, "more than 4294967296 bytes" in said.reason), said.err


def test_links_inside_stay_and_owners_do_not(folder: Path) -> None:
    """A relative link that keeps inside is kept; who owned a file elsewhere owns nothing here."""
    inside = odd("nginx-1.2.3/lib/nginx", tarfile.SYMTYPE, "../sbin/nginx")
    members = [owned(SERVER, 4242), inside, file("nginx-1.2.3/a name with blanks -> x"), file("nginx-1.2.3/ü", b"x")]
    service = installing(folder, packed(folder, members))
    service.do("install")
    program = service.prefix / "packages" / "nginx-1.2.3"
    assert "../sbin/nginx" == str((program / "lib/nginx").readlink())
    assert os.geteuid() == (program / "sbin/nginx").stat().st_uid
    assert (program / "a name with blanks -> x").is_file()


def test_a_folder_of_another_service_is_not_removed(folder: Path) -> None:
    """remove_tree refuses every path that is not a folder of towline's below the prefix."""
    script = folder / "nginxctl.sh"
    source = (Path(__file__).parents[2] / "scripts").resolve()
    text = (source / "nginxctl.sh").read_text().replace('run_verb "$@"', 'prefix=$1\nremove_tree "$2"')
    script.write_text(text.replace('"${here:-./}common.sh"', f'"{source}/common.sh"'))
    prefix, kept = folder / "p", folder / "kept"
    for path in (prefix / "services/a/data", prefix / "packages/x", kept):
        path.mkdir(parents=True)
    (prefix / "services/link").symlink_to(kept)
    refused: list[str] = ["", "/", str(prefix), f"{prefix}/", f"{prefix}/services", f"{prefix}/services/", str(kept)]
    refused += [
        f"{prefix}/services/../../kept",
        f"{prefix}/services/./a",
        f"{prefix}/services/link",
        f"{prefix}/other/x",
    ]
    refused += ["services/a", f"{prefix}/services/a b", f"{prefix}/services/a\n"]
    assert {1} == {_remove(script, prefix, path) for path in refused}
    assert {1} == {_remove(script, Path(""), path) for path in ("/services/a", "services/a")}
    assert kept.is_dir()
    assert (prefix / "services/a/data").is_dir()
    assert 0 == _remove(script, prefix, f"{prefix}/services/a")
    assert not (prefix / "services/a").exists()


def _remove(script: Path, prefix: Path, path: str) -> int:
    text = "" if prefix == Path("") else str(prefix)
    return subprocess.run(["bash", str(script), text, path], capture_output=True, check=False, timeout=30).returncode


def test_what_a_killed_call_left_is_cleared(folder: Path) -> None:
    """Half unpacked or half removed: it stands under no program's name, and the next install clears it."""
    service = installing(folder, packed(folder, [SERVER]))
    left = service.prefix / "packages" / ".partial-nginx-1.2.3"
    (left / "tree").mkdir(parents=True)
    (left / "tree" / "half").write_text("half")
    (service.prefix / "packages" / "nginx-1.2.3").mkdir()
    service.do("install")
    assert [".towline-package", "sbin"] == sorted(p.name for p in (service.prefix / "packages/nginx-1.2.3").iterdir())
    assert not left.exists()
