"""API tokens: for people, scripts and scrapers."""

from datetime import timedelta
from pathlib import Path

import click

from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.principal import COMMAND, SCOPES, Role
from api.services import sessions, tokens
from api.services.tokens import Tokens
from api.settings import Settings


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.argument("name", default="admin")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.ADMIN.value, show_default=True)
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(SCOPES), help="Narrow the role to this; repeatable."
)
@click.option("--days", type=click.IntRange(1, 3660), help="Ends after so many days; without it, when it is revoked.")
@click.option(
    "--link", is_flag=True, help="Print a link that signs in once, good for 15 minutes, instead of the token."
)
@click.pass_obj
def create(config: Path | None, name: str, role: str, scopes: tuple[str, ...], days: int | None, *, link: bool) -> None:
    """Make a token and print its secret, once. Whoever can run this has the database anyway."""
    settings = settings_of(config)
    click.echo(run(_create(settings, name, Role(role), scopes, days, link=link)))


@command.command(name="list")
@click.pass_obj
def listed(config: Path | None) -> None:
    """List tokens, never their secrets."""
    after = ""
    while True:
        page = run(_list(settings_of(config), after))
        for token in page.items:
            state = "revoked" if token.revoked_at else f"until {token.expires_at:%Y-%m-%d}" if token.expires_at else ""
            click.echo("\t".join([token.id, token.name, token.role, " ".join(token.scopes), state]).rstrip())
        if page.next is None:
            return
        after = page.next


@command.command()
@click.argument("token_id")
@click.pass_obj
def revoke(config: Path | None, token_id: str) -> None:
    """End a token, and every session that came of it."""
    run(_revoke(settings_of(config), token_id))


async def _create(
    settings: Settings, name: str, role: Role, scopes: tuple[str, ...], days: int | None, *, link: bool
) -> str:
    now = utc_now()
    async with open_engine(settings) as engine:
        ends = now + timedelta(days=days) if days else None
        if link and ends is None:
            # nobody ever sees the secret of this token: it lives for the sessions of its link only
            ends = now + timedelta(hours=settings.server.session_hours)
        made = await tokens.create(engine, COMMAND, name=name, role=role, scopes=scopes, expires_at=ends, now=now)
        if not link:
            return made.secret
        secret = await sessions.create_link(engine, made.token.id, now=now, lasts=timedelta(minutes=15))
        return f"{settings.server.url}/signin?token={secret}"


async def _list(settings: Settings, after: str) -> Tokens:
    async with open_engine(settings) as engine:
        return await tokens.listed(engine, after=after)


async def _revoke(settings: Settings, token_id: str) -> None:
    async with open_engine(settings) as engine:
        await tokens.revoke(engine, COMMAND, token_id, now=utc_now())
