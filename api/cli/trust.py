"""Whom hosts believe: the publisher's keys."""

from pathlib import Path

import click

from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.principal import COMMAND
from api.services import trust
from api.services.trust import Trusted
from api.settings import Settings


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.pass_obj
def init(config: Path | None) -> None:
    """Make the publisher's, root and exchange keys and the first trust note; does nothing when they are there."""
    settings = settings_of(config)
    trusted = run(_init(settings))
    click.echo(f"trust version {trusted.trust.version}, epoch {trusted.trust.epoch}, digest {trusted.digest}")
    click.echo(f"private keys: {settings.keys_folder} (back them up; root.key may be moved to a safe)", err=True)


@command.command()
@click.option("--note", is_flag=True, help="Print the whole trust note instead.")
@click.pass_obj
def show(config: Path | None, *, note: bool) -> None:
    """Print the publisher's verifier keys in the form of C2SP signed notes, one a line."""
    settings = settings_of(config)
    if note:
        click.echo(run(_note(settings)), nl=False)
        return
    for key in run(_current(settings)).trust.keys:
        click.echo(key)


async def _init(settings: Settings) -> Trusted:
    async with open_engine(settings) as engine:
        return await trust.init(engine, settings.keys_folder, settings.server.url, COMMAND, now=utc_now())


async def _current(settings: Settings) -> Trusted:
    async with open_engine(settings) as engine:
        return await trust.current(engine, settings.keys_folder)


async def _note(settings: Settings) -> bytes:
    async with open_engine(settings) as engine:
        return await trust.version(engine, None)
