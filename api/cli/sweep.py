"""Delete old reports, documents, events and tokens, as the settings say."""

from pathlib import Path

import click
from msgspec import structs

from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.services.sweeping import Swept, sweep
from api.settings import Settings


@click.command(help=__doc__)
@click.pass_obj
def command(config: Path | None) -> None:
    """The command."""
    swept = run(_sweep(settings_of(config)))
    click.echo(", ".join(f"{count} {what}" for what, count in structs.asdict(swept).items()))


async def _sweep(settings: Settings) -> Swept:
    async with open_engine(settings) as engine:
        return await sweep(engine, settings.sweep, utc_now())
