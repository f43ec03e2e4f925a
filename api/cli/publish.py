"""Publish what changed: render, sign, store, and put to the folder and the git branch of the settings."""

import sys
from pathlib import Path

import click

from api.backend import open_backend
from api.cli._running import TRY_LATER, run, settings_of
from api.principal import COMMAND
from api.services.publishing import Publication
from api.settings import Settings

WAIT_S = 30
"""As long as it takes until the lease of a publisher that was killed runs out, and then some."""


@click.command(help=f"{__doc__}\n\nExit code: 0 all stands where it should, 1 some host or place does not.")
@click.option("--once", is_flag=True, help="Once is all that it ever does; for scripts that want to say so.")
@click.pass_obj
def command(config: Path | None, once: bool) -> None:
    """The command."""
    done = run(_publish(settings_of(config)))
    if done.waiting_for:
        click.echo(f"nothing is published: {done.waiting_for}", err=True)
        sys.exit(TRY_LATER)
    click.echo(f"{done.documents} issued, {done.unchanged} unchanged")
    for host in done.orphans:
        click.echo(f"{host}: is not declared any more; what is published for it stays")
    for host, reason in done.refused.items():
        click.echo(f"{host}: keeps the document that it has: {reason}", err=True)
    for host, holds in done.held.items():
        for hold in holds:
            click.echo(f"{host}: {hold.service} {hold.sentence}")
    for delivery in done.deliveries:
        told = delivery.problem or f"{delivery.files} files put"
        click.echo(f"{delivery.target}: {told}", err=bool(delivery.problem))
    sys.exit(0 if done.complete else 1)


async def _publish(settings: Settings) -> Publication:
    async with open_backend(settings, by=COMMAND, pooled=False) as backend:
        return await backend.publish(verify=True, wait_s=WAIT_S)
