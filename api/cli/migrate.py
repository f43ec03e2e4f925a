"""Bring the database to what this version needs."""

from pathlib import Path

import click

from api.backend import open_engine
from api.cli._running import run, settings_of
from api.database import schema_version
from api.settings import Settings


@click.command(help=__doc__)
@click.pass_obj
def command(config: Path | None) -> None:
    """The command."""
    click.echo(f"the database is at migration {run(_migrate(settings_of(config)))}")


async def _migrate(settings: Settings) -> str:
    async with open_engine(settings) as engine:  # opening migrates
        return await schema_version(engine)
