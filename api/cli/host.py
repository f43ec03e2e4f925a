"""Hosts: invited, listed, suspended, resumed."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import click

from api.backend import open_backend, open_engine, utc_now
from api.cli._running import run, settings_of
from api.principal import COMMAND
from api.services import hosts, inviting
from api.services.hosts import Known
from api.services.inviting import Invitation
from api.services.join_command import Way
from api.settings import Settings

_DURATION = re.compile(r"^([1-9][0-9]{0,4})([mhd])$")
_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.argument("name")
@click.option("--hours", type=click.IntRange(1, 24 * 30), help="How long the join token counts.")
@click.option("--mirror", default="", metavar="URL", help="Fetch the agent as URL/sha256/HEX, not from this backend.")
@click.option("--ca-file", default="", metavar="PATH", help="On the host: a file with the CAs to trust, in PEM.")
@click.option("--prefix", default="", metavar="PATH", help="On the host: where towline keeps everything.")
@click.option("--token-only", is_flag=True, help="Print the join token alone, for an agent that is there already.")
@click.pass_obj
def invite(
    config: Path | None, *, name: str, hours: int | None, mirror: str, ca_file: str, prefix: str, token_only: bool
) -> None:
    """Print the command to paste on the host NAME: it installs the agent and lets the host join, once.

    Where no archive of the agent is known (towline package add ... --name towline-agent), only the join token is
    printed: on the host run towline-puller enroll, and paste it.
    """
    way = Way(mirror=mirror, ca_file=ca_file, prefix=prefix)
    invitation = run(_invite(settings_of(config), name, hours, way))
    with_agent = invitation.agent is not None and not token_only
    click.echo(invitation.command if with_agent else invitation.join_token)
    click.echo(f"for {name}, once, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC", err=True)
    for line in _remarks(invitation, with_agent=with_agent, mirror=mirror):
        click.echo(line, err=True)


@command.command(name="list")
@click.pass_obj
def listed(config: Path | None) -> None:
    """List hosts that are declared or enrolled, with what was said of them."""
    for known in run(_list(settings_of(config))):
        words = [
            "declared" if known.declared else "not declared",
            "enrolled" if known.enrolled else "not enrolled",
            known.override,
            "; ".join(f"{hold.service} {hold.sentence}" for hold in known.held),
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


def _remarks(invitation: Invitation, *, with_agent: bool, mirror: str) -> list[str]:
    """What the one who invites should know besides."""
    found = []
    agent = invitation.agent
    if agent is not None and with_agent:
        found.append(f"agent {agent.version}: {agent.file}, {agent.size} bytes, {agent.digest}")
        if not agent.stored and not mirror:
            found.append("its archive is not in this store: towline package add it, or lay it on the host by hand")
    if agent is None:
        found.append("no archive of the agent is known here: only an agent that is on the host already can join")
    if not invitation.declared:
        found.append(f"the catalogue has no host {invitation.host} yet: it gets no document before it is declared")
    return found


async def _invite(settings: Settings, name: str, hours: int | None, way: Way) -> Invitation:
    lasts = timedelta(hours=hours or settings.hosts.join_token_hours)
    async with open_backend(settings, by=COMMAND) as backend:
        return await inviting.invite(
            backend.engine, backend.inviter, COMMAND, name, now=backend.now(), lasts=lasts, way=way
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
