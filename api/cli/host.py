"""Hosts: invited, listed, suspended, resumed."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import click

from api.backend import open_backend, open_engine, utc_now
from api.cli._running import run, settings_of
from api.principal import COMMAND
from api.services import enrolment, hosts
from api.services.enrolment import Invitation
from api.services.hosts import Known
from api.settings import Settings

_DURATION = re.compile(r"^([1-9][0-9]{0,4})([mhd])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.argument("name")
@click.option("--hours", type=click.IntRange(1, 24 * 30), help="How long the join token counts.")
@click.pass_obj
def invite(config: Path | None, name: str, hours: int | None) -> None:
    """Print a one-time join token for the host NAME. On the host: towline-puller enroll, and paste it."""
    invitation = run(_invite(settings_of(config), name, hours))
    click.echo(invitation.join_token)
    click.echo(f"for {name}, once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC", err=True)
    if not invitation.declared:
        click.echo(f"the catalogue has no host {name} yet: it gets no document before it is declared", err=True)


@command.command(name="list")
@click.pass_obj
def listed(config: Path | None) -> None:
    """List hosts that are declared or enrolled, with what was said of them."""
    for known in run(_list(settings_of(config))):
        words = [
            "declared" if known.declared else "not declared",
            "enrolled" if known.enrolled else "not enrolled",
            known.override,
        ]
        click.echo("\t".join([known.host, *words]).rstrip())


@command.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why: the next one who looks wants to know.")
@click.option("--for", "lasts", metavar="DURATION", help="How long, e.g. 30m, 4h, 2d; without it, until resumed.")
@click.pass_obj
def suspend(config: Path | None, name: str, reason: str, lasts: str | None) -> None:
    """Leave the host alone, from its next document on."""
    until = utc_now() + _duration(lasts) if lasts else None
    run(_suspend(settings_of(config), name, reason, until))


@command.command()
@click.argument("name")
@click.pass_obj
def resume(config: Path | None, name: str) -> None:
    """Take the suspension back."""
    run(_resume(settings_of(config), name))


def _duration(text: str) -> timedelta:
    found = _DURATION.match(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is not a duration like 30m, 4h, 2d", param_hint="--for")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


async def _invite(settings: Settings, name: str, hours: int | None) -> Invitation:
    lasts = timedelta(hours=hours or settings.hosts.join_token_hours)
    async with open_backend(settings, by=COMMAND) as backend:
        return await enrolment.invite(
            backend.engine, COMMAND, name, base_url=settings.server.url, now=backend.now(), lasts=lasts
        )


async def _list(settings: Settings) -> list[Known]:
    async with open_engine(settings) as engine:
        return await hosts.known(engine, now=utc_now())


async def _suspend(settings: Settings, name: str, reason: str, until: datetime | None) -> None:
    async with open_engine(settings) as engine:
        await hosts.suspend(engine, COMMAND, name, reason=reason, until=until, now=utc_now())


async def _resume(settings: Settings, name: str) -> None:
    async with open_engine(settings) as engine:
        await hosts.resume(engine, COMMAND, name, now=utc_now())
