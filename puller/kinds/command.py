"""`towline-puller kind`: what somebody needs who writes a kind."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from puller.kinds.examination import Finding
    from puller.kinds.given import Given

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_Pairs = tuple[str, ...]


@click.group("kind")
def command() -> None:
    """Kinds of one's own: whether a script keeps the contract."""


@command.command(epilog="Exit codes: 0 no faults; 1 faults; 2 wrong usage.")
@click.argument("file", type=_FILE)
@click.option("--version", "version", default="", help="The version of the software in the packages.")
@click.option("--package", "packages", multiple=True, metavar="ROLE=ARCHIVE", help="A package file, by its role.")
@click.option("--parameter", "parameters", multiple=True, metavar="NAME=VALUE", help="A parameter of the service.")
@click.option(
    "--monitoring",
    "monitoring",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value under monitoring: with it monitor_trace is tried too, which writes where it does on any host.",
)
@click.option(
    "--secret",
    "secrets",
    multiple=True,
    metavar="NAME=FILE",
    help="A file with a secret, where not any text will do; without it one is made up.",
)
def check(
    file: Path, *, version: str, packages: _Pairs, parameters: _Pairs, monitoring: _Pairs, secrets: _Pairs
) -> None:
    """Checks the kind's script FILE on this machine, below a scratch prefix, as the agent would call it.

    Without packages: its text, what it says of itself, and what it refuses. With a version and packages: a whole life
    of a service too. Services get free ports; nothing is left in the end.
    """
    from puller.kinds.given import Given  # noqa: PLC0415
    from puller.ports import Stalled, Unavailable  # noqa: PLC0415

    given = Given(
        file=file,
        version=version,
        packages=_files("--package", packages),
        parameters=_pairs("--parameter", parameters),
        monitoring=_pairs("--monitoring", monitoring),
        secrets=_files("--secret", secrets),
    )
    _usable(given)
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))  # what was tried is taken away then, too
    try:
        import asyncio  # noqa: PLC0415 - `alive` is asked every minute and has no use for it

        found = asyncio.run(_examined(given))
    except (Stalled, Unavailable) as error:
        raise click.ClickException(str(error)) from error
    faults = sum(finding.outcome == "fault" for finding in found)
    left_out = sum(finding.outcome == "left out" for finding in found)
    click.echo(f"{len(found)} checks: {faults} with faults, {left_out} left out")
    sys.exit(1 if faults else 0)


async def _examined(given: "Given") -> "tuple[Finding, ...]":
    from puller.kinds.examination import CHECKS, examine  # noqa: PLC0415
    from puller.kinds.scratch import scratch_host  # noqa: PLC0415

    names = [check.name for check in CHECKS]
    ended: list[str] = []

    def told(finding: "Finding") -> None:
        ended.append(finding.check)
        _clear()
        click.echo(line_of(finding))

    def progress(how_far: str) -> None:
        if sys.stdout.isatty():
            _clear()
            click.echo(f"...      {names[len(ended)]} ({len(ended) + 1} of {len(names)}) {how_far}\r", nl=False)

    with scratch_host(given, progress=progress) as scratch:
        return await examine(scratch, told=told)


def line_of(finding: "Finding") -> str:
    """One line, and below it what to do about a fault."""
    text = finding.text.replace("\n", "\n         ")
    do = f"\n         to do: {finding.do}" if finding.do else ""
    return f"{finding.outcome:<8} {finding.check}: {text}{do}"


def _clear() -> None:
    if sys.stdout.isatty():
        click.echo("\r\x1b[K", nl=False)


def _usable(given: "Given") -> None:
    from desired_state.names import AGENT_KIND  # noqa: PLC0415

    if not given.kind:
        raise click.UsageError(f"{given.file.name} is no kind's script: those are named <kind>ctl.sh")
    if given.kind == AGENT_KIND:
        raise click.UsageError("the agent is the one kind that no document stops or removes; it cannot be tried so")
    if given.packages and not given.version:
        raise click.UsageError("packages need --version VERSION, the version of the software in them")


def _pairs(option: str, given: _Pairs) -> dict[str, str]:
    for pair in given:
        if not pair.partition("=")[0].isidentifier() or "=" not in pair:
            raise click.UsageError(f"{option} {pair!r} is no NAME=VALUE")
    return dict(pair.partition("=")[::2] for pair in given)


def _files(option: str, given: _Pairs) -> dict[str, Path]:
    files = {name: Path(value) for name, value in _pairs(option, given).items()}
    for path in files.values():
        if not path.is_file():
            raise click.UsageError(f"{option}: there is no file {path}")
    return files
