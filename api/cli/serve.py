"""Serve hosts, people and scripts, and do what is due: import, publish, sweep."""

from pathlib import Path

import click

from api.cli._running import run, settings_of
from api.server import serve


@click.command(help=__doc__)
@click.pass_obj
def command(config: Path | None) -> None:
    """The command. Ends in order on SIGTERM and SIGINT."""
    run(serve(settings_of(config)))
