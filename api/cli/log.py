"""The audit log: read it, and check that nobody changed it."""

import sys
from pathlib import Path

import click

from api.backend import open_engine
from api.cli._running import run, settings_of
from api.database import snapshot
from api.services import audit, log
from api.services.log import Events
from api.settings import Settings


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.option("--subject", default="", help="Only about this, e.g. host/alpha.")
@click.option("--lines", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.pass_obj
def show(config: Path | None, subject: str, lines: int) -> None:
    """Print the newest lines."""
    for event in reversed(run(_read(settings_of(config), subject, lines)).items):
        detail = " ".join(f"{key}={value!r}" for key, value in event.detail.items() if value)
        click.echo(
            f"{event.id}\t{event.at:%Y-%m-%dT%H:%M:%SZ}\t{event.actor}\t{event.action}\t{event.subject}\t{detail}"
        )


@command.command()
@click.pass_obj
def verify(config: Path | None) -> None:
    """Follow the chain of hashes; exit code 1 names the first line that is not what was written."""
    broken = run(_verify(settings_of(config)))
    if broken is not None:
        click.echo(f"line {broken} is not what was written, or a line before it is missing", err=True)
        sys.exit(1)
    click.echo("the chain holds")


async def _read(settings: Settings, subject: str, lines: int) -> Events:
    async with open_engine(settings) as engine:
        return await log.read(engine, after=None, subject=subject, limit=lines)


async def _verify(settings: Settings) -> int | None:
    async with open_engine(settings) as engine, snapshot(engine, deadline_s=600) as connection:
        return await audit.first_break(connection)
