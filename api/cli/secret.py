"""Secrets of services: set from standard input, never shown again."""

import sys
from getpass import getpass
from pathlib import Path

import click

from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.principal import COMMAND
from api.services import secrets
from api.services.secrets import SetSecret, ShownSecret
from api.settings import Settings
from api.vault import Vault
from desired_state.sealing import MAX_SECRET_BYTES


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command(name="set")
@click.argument("name")
@click.option("--note", default="", help="What it is for, or why it was changed. Shown to everybody.")
@click.pass_obj
def set_secret(config: Path | None, name: str, note: str) -> None:
    """Set the secret NAME, or its next version, from standard input; asked for twice, unseen, in a terminal.

    One line end at the end does not belong to it. The next publication seals it to the hosts whose services use it;
    each is configured with it, and restarted where its kind says so: towline plan shows what happens.
    """
    done = run(_set(settings_of(config), name, _value(name), note))
    click.echo(f"{done.name} v{done.version}")


@command.command(name="list")
@click.pass_obj
def listed(config: Path | None) -> None:
    """List secrets: name, version, when and by whom it was set, which services use it. Never a value."""
    for one in run(_list(settings_of(config))):
        used = ", ".join(one.used_by) or "not used"
        when = f"{one.set_at:%Y-%m-%d %H:%M} UTC"
        click.echo("\t".join([one.name, f"v{one.version}", when, one.set_by, used, one.note]).rstrip())


@command.command()
@click.argument("name")
@click.pass_obj
def remove(config: Path | None, name: str) -> None:
    """Forget the secret NAME, which no service of the catalogue may use."""
    run(_remove(settings_of(config), name))
    click.echo(f"{name}: forgotten")


def _value(name: str) -> bytes:
    if not sys.stdin.isatty():
        # a byte more than there may be: what is too long is refused, not cut
        return sys.stdin.buffer.read(MAX_SECRET_BYTES + 3)
    value = getpass(f"{name}: ")
    if value != getpass(f"{name}, again: "):
        raise click.ClickException("the two are not the same; nothing was set")
    return value.encode()


async def _set(settings: Settings, name: str, value: bytes, note: str) -> SetSecret:
    async with open_engine(settings) as engine:
        vault = Vault(settings.keys_folder)
        return await secrets.set_secret(engine, vault, COMMAND, name, value, note=note, now=utc_now())


async def _list(settings: Settings) -> tuple[ShownSecret, ...]:
    async with open_engine(settings) as engine:
        return await secrets.listed(engine)


async def _remove(settings: Settings, name: str) -> None:
    async with open_engine(settings) as engine:
        await secrets.remove(engine, COMMAND, name, now=utc_now())
