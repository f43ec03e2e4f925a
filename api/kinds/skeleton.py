"""The first files of a kind: a script that works as it stands, and a catalogue entry that uses it."""

from collections.abc import Mapping
from pathlib import Path

from api.as_code.catalogue_files import file_of, write_entry
from desired_state.catalogue import Placement, ServiceEntry

_TEXT = Path(__file__).with_name("skeleton.txt")
_SHEBANG = "#!/usr/bin/env bash\n"
"""Not in the text: it is no script before it has a kind, and no checker of scripts should take it for one."""
_VERSION = "1.0.0"


def first_files(kind: str) -> Mapping[str, str]:
    """Path in the catalogue's repository and text of each file of a new kind."""
    script = _SHEBANG + _TEXT.read_text(encoding="utf-8").replace("KINDNAME", kind)
    entry = _entry(kind)
    package = f"towline package add {kind}-{_VERSION}.tar.gz --name {kind} --version {_VERSION} --write ."
    head = f"# A service of the kind {kind}. Its package: {package}\n"
    return {f"scripts/{kind}ctl.sh": script, file_of(entry): head + write_entry(entry)}


def _entry(kind: str) -> ServiceEntry:
    return ServiceEntry(
        service=kind.strip("_").replace("_", "-"),
        kind=kind,
        version=_VERSION,
        description=f"What {kind} is for",
        packages={"server": f"{kind}-{_VERSION}"},
        parameters={"port": 8080, "greeting": f"{kind} greets you"},
        placement=Placement(labels={"role": kind.strip("_")}),
    )
