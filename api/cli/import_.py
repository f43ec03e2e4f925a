"""Import the catalogue as code: all or nothing."""

import sys
from pathlib import Path

import click

from api.as_code.catalogue_source import FolderSource
from api.backend import open_backend
from api.cli._running import line_of, run, settings_of
from api.principal import COMMAND
from api.services.importing import Imported, import_catalogue, source_of
from api.settings import Settings


@click.command(help=__doc__)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Import this working tree, whatever the settings say.",
)
@click.pass_obj
def command(config: Path | None, folder: Path | None) -> None:
    """The command. Exit code 1: it was refused, and every problem is printed; the catalogue stays as it was."""
    done = run(_import(settings_of(config), folder))
    for problem in done.problems:
        click.echo(line_of(problem), err=True)
    words = {"applied": "imported", "refused": "refused; the catalogue stays as it was:", "unchanged": "nothing new:"}
    click.echo(f"{words[done.state]} {done.ref[:19]} {done.summary}".rstrip())
    if done.state == "refused":
        sys.exit(1)


async def _import(settings: Settings, folder: Path | None) -> Imported:
    async with open_backend(settings, by=COMMAND) as backend:
        source = FolderSource(folder) if folder is not None else source_of(settings)
        return await import_catalogue(backend.engine, source, COMMAND, shipped=backend.shipped, now=backend.now())
