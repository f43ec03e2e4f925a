"""The script bundle: the same bytes wherever it is made, and what each script says of itself."""

import io
import os
import tarfile
from pathlib import Path

import msgspec
import pytest

from api.publish.bundle import BadScript, make_bundle, merge_scripts, read_scripts
from desired_state.contract import BundleIndex
from desired_state.names import digest_of

META = b"""#!/usr/bin/env bash
[[ $1 == meta ]] || exit 3
cat <<'JSON'
{"schema": "towline.meta/1", "kind": "toy", "verbs": {"check_status": {"timeout_s": 5}, "install": {"timeout_s": 5},
 "configure": {"timeout_s": 5}, "start": {"timeout_s": 5}, "stop": {"timeout_s": 5}, "uninstall": {"timeout_s": 5}}}
JSON
"""


def members(data: bytes) -> list[tarfile.TarInfo]:
    """What lies in a tar."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getmembers()


def test_the_same_scripts_give_the_same_bytes(tmp_path: Path) -> None:
    """Order on disk, times and modes do not matter."""
    for name, order in (("a", ("toyctl.sh", "common/file.sh")), ("b", ("common/file.sh", "toyctl.sh"))):
        for path in order:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(META if path == "toyctl.sh" else b"true\n")
    os.utime(tmp_path / "a/toyctl.sh", (1, 1))
    (tmp_path / "b/toyctl.sh").chmod(0o600)
    one, two = (make_bundle(read_scripts(tmp_path / name)) for name in ("a", "b"))
    assert one.data == two.data


def test_the_artifact_names_the_bytes() -> None:
    """Digest and size are those of the tar."""
    bundle = make_bundle({"toyctl.sh": META})
    assert (bundle.artifact.digest, bundle.artifact.size) == (digest_of(bundle.data), len(bundle.data))


def test_scripts_are_executable_and_belong_to_nobody() -> None:
    """Nothing of who packed it is in the tar."""
    found = members(make_bundle({"toyctl.sh": META}).data)
    assert [(m.name, m.mode, m.uid, m.mtime, m.uname) for m in found] == [
        ("kinds.json", 0o644, 0, 0, ""),
        ("toyctl.sh", 0o755, 0, 0, ""),
    ]


def test_the_index_tells_the_kinds() -> None:
    """kinds.json is what the scripts print for `meta`."""
    bundle = make_bundle({"toyctl.sh": META})
    with tarfile.open(fileobj=io.BytesIO(bundle.data)) as archive:
        file = archive.extractfile("kinds.json")
        assert file is not None
        index = msgspec.json.decode(file.read(), type=BundleIndex)
    assert index.kinds == bundle.kinds
    assert list(bundle.kinds) == ["toy"]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (b"exit 1", "exit code 1"),
        (b"echo nothing", "does not fit the contract"),
        (META.replace(b'"toy"', b'"other"'), "for the kind other"),
        (META.replace(b'"install": {"timeout_s": 5},', b""), "lacks the required verbs install"),
        (META.replace(b'"kind": "toy",', b'"kind": "toy", "extra": 1,'), "extra"),
        (META.replace(b'"kind": "toy",', b'"kind": "toy", "side_by_side": true,'), "lacks the required verbs restart"),
        (
            META.replace(b'"kind": "toy",', b'"kind": "toy", "metrics": [{"port": "web"}],'),
            "no parameters: web",
        ),
        (
            META.replace(b'"kind": "toy",', b'"kind": "toy", "cluster": [{"parameter": "x", "from": "id"}],'),
            "cluster parameter x: is no parameter of this kind",
        ),
        (
            META.replace(b'"kind": "toy",', b'"kind": "toy", "cluster": [{"parameter": "x", "from": "rack"}],'),
            "Invalid enum value 'rack'",
        ),
    ],
)
def test_a_script_that_breaks_the_contract_is_refused(script: bytes, said: str) -> None:
    """The error names the script and what is wrong with it."""
    with pytest.raises(BadScript, match=f"scripts/toyctl.sh: .*{said}"):
        make_bundle({"toyctl.sh": script})


def test_a_repository_adds_kinds() -> None:
    """A script of the catalogue's own repository is a full citizen."""
    merged = merge_scripts({"common.sh": b""}, {"toyctl.sh": META})
    assert list(make_bundle(merged).kinds) == ["toy"]


def test_a_repository_replaces_nothing() -> None:
    """A file of the same name with other bytes is refused."""
    with pytest.raises(BadScript, match="give yours another"):
        merge_scripts({"common.sh": b""}, {"common.sh": b"true"})


def test_links_and_hidden_files_stay_out(tmp_path: Path) -> None:
    """Only plain files of plain names are packed."""
    (tmp_path / "toyctl.sh").write_bytes(META)
    (tmp_path / ".hidden").write_bytes(b"x")
    (tmp_path / "link.sh").symlink_to("/etc/passwd")
    assert list(read_scripts(tmp_path)) == ["toyctl.sh"]
