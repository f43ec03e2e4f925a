"""Checks that only read the script: its name, its text, what shellcheck says."""

import asyncio
import shutil
import subprocess

from desired_state.script_form import FormFault, banned, shape_faults
from puller.kinds.scratch import Fault, LeftOut, Scratch, shipped_folder

SHELLCHECK_TIMEOUT_S = 120


async def name(scratch: Scratch) -> str:
    """The file can be in a bundle beside those that towline ships."""
    file = scratch.given.file
    shipped = shipped_folder() / file.name
    if shipped.is_file() and shipped.read_bytes() != file.read_bytes():
        raise Fault(f"{file.name} is a script that towline ships, and this is another one")
    return f"kind {scratch.given.kind}"


async def shape(scratch: Scratch) -> str:
    """It looks as every kind does."""
    _none(shape_faults(scratch.given.file.name, _text(scratch)))
    return "strict mode, what healthy means, dispatch on the last line"


async def bans(scratch: Scratch) -> str:
    """It does nothing that no script may do."""
    _none(banned(_text(scratch)))
    return "no eval, no killing by name, no tree removed by hand, no fixed file in a shared folder, ..."


async def shellcheck(scratch: Scratch) -> str:
    """With everything that it sources."""
    program = shutil.which("shellcheck")
    if program is None:
        raise LeftOut("shellcheck is not on this machine; install it, it finds much")
    options = ["--external-sources", "--source-path=SCRIPTDIR", "--format=gcc"]
    said = await asyncio.to_thread(
        subprocess.run,
        [program, *options, str(scratch.script)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SHELLCHECK_TIMEOUT_S,
    )
    if said.returncode:
        raise Fault((said.stdout or said.stderr).replace(f"{scratch.script.parent}/", "").strip())
    return "nothing to say"


def _text(scratch: Scratch) -> str:
    return scratch.given.file.read_text(encoding="utf-8", errors="replace")


def _none(faults: tuple[FormFault, ...]) -> None:
    if faults:
        raise Fault("\n".join(f"line {fault.line}: {fault.what}: {fault.instead}" for fault in faults))
