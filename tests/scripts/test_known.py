"""A look by a caller who has just read the files and the command line itself: it costs less, and says the same."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from puller.ports import Known
from tests.scripts.calling import Service, end_processes, eventually
from tests.scripts.kinds.case import real_service

SERVED = ["redis", "nginx"]


@pytest.fixture(params=SERVED)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    made = real_service(request.param, tmp_path)
    try:
        made.do("install", "configure", "start")
        assert eventually(30, lambda: made.state_now() == "running")
        yield made
    finally:
        end_processes(tmp_path)


def without_digests(service: Service, folder: Path) -> Path:
    """A folder whose sha256sum leaves a mark and fails: programs of it come first."""
    folder.mkdir()
    mark = folder / "asked"
    (folder / "sha256sum").write_text(f"#!{shutil.which('bash')}\n: >{mark}\nexit 1\n")
    (folder / "sha256sum").chmod(0o755)
    service.programs = folder
    return mark


def test_what_the_caller_has_read_is_not_read_again(service: Service, tmp_path: Path) -> None:
    """No process is begun for digests, and each fact is the same."""
    before = service.status()
    known = service.known(before)
    mark = without_digests(service, tmp_path / "first")
    again = service.status_again(known)
    assert not mark.exists()
    assert (before.code, before.out) == (again.code, again.out)


def test_an_edit_is_told_all_the_same(service: Service) -> None:
    """The caller has read another digest than configure has left: the script looks itself, and tells the keys."""
    before = service.status()
    file = Path(before.all("watch")[0])
    file.write_text(file.read_text() + "# by hand\n")
    known = service.known(before)
    again = service.status_again(known)
    assert known.config == again.facts["config"] != before.facts["config"]
    assert again.all("drift")


@pytest.mark.parametrize("wrong", ["another process", "another start", "no digest", "no command", "not kept"])
def test_what_does_not_fit_is_not_believed(service: Service, wrong: str, tmp_path: Path) -> None:
    """The script reads for itself what it is told of another process, or what configure has not kept."""
    before = service.status()
    known = service.known(before)
    pid, start, digest = known.command.split(":")
    told = {
        "another process": replace(known, command=f"1:{start}:{digest}"),
        "another start": replace(known, command=f"{pid}:{int(start) + 1}:{'0' * 64}"),
        "no digest": replace(known, command=f"{pid}:{start}:x"),
        "no command": Known(config=known.config),
        "not kept": replace(known, config=f"sha256:{'0' * 64}"),
    }[wrong]
    again = service.status_again(told)
    assert (before.code, before.out) == (again.code, again.out)
    mark = without_digests(service, tmp_path / "first")
    service.status_again(told)
    assert mark.exists()
