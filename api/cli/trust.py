"""Whom hosts believe: the publisher's keys."""

from pathlib import Path

import click

from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.key_files import ROOT
from api.principal import COMMAND
from api.services import trust
from api.services.trust import Trusted
from api.settings import Settings

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


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


@command.command()
@click.option("--withdraw", is_flag=True, help="Believe the earlier keys no more: raises the epoch.")
@click.option("--root-key", type=_FILE, help="The root key, where it is kept elsewhere than with the other keys.")
@click.option("--new-root", is_flag=True, help="Make a new root key too; the former one is believed no more.")
@click.pass_obj
def rotate(config: Path | None, *, withdraw: bool, root_key: Path | None, new_root: bool) -> None:
    """Make a new publisher's key that signs from now on; hosts follow by the next trust note, signed by the root key.

    The earlier keys stay believed, so what they signed still counts. --withdraw ends that at once, for a key that
    somebody else may have: every document is issued anew. A backend that runs follows by itself.
    """
    settings = settings_of(config)
    trusted = run(_rotate(settings, withdraw=withdraw, root_key=root_key, new_root=new_root))
    click.echo(f"trust version {trusted.trust.version}, epoch {trusted.trust.epoch}, digest {trusted.digest}")
    click.echo(f"new private key: {settings.keys_folder} (back it up; replicas with copies need it too)", err=True)
    if new_root:
        click.echo(f"new root key: {settings.keys_folder / ROOT} (back it up, and take it to a safe)", err=True)
        click.echo("the former root key signs nothing any more", err=True)
    click.echo("a backend that runs takes it over when it publishes next; else: towline publish --once", err=True)


async def _rotate(settings: Settings, *, withdraw: bool, root_key: Path | None, new_root: bool) -> Trusted:
    async with open_engine(settings) as engine:
        return await trust.rotate(
            engine,
            settings.keys_folder,
            COMMAND,
            now=utc_now(),
            withdraw=withdraw,
            root_key=root_key,
            new_root=new_root,
        )


async def _init(settings: Settings) -> Trusted:
    async with open_engine(settings) as engine:
        return await trust.init(engine, settings.keys_folder, settings.server.url, COMMAND, now=utc_now())


async def _current(settings: Settings) -> Trusted:
    async with open_engine(settings) as engine:
        return await trust.current(engine, settings.keys_folder)


async def _note(settings: Settings) -> bytes:
    async with open_engine(settings) as engine:
        return await trust.version(engine, None)
