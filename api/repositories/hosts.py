"""Questions about hosts beside the catalogue: who they are, how they get in, what is overridden."""

from msgspec import Struct
from sqlalchemy import delete, insert, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import catalogue_entry, host_identity, host_override, join_token


class Identity(Struct, frozen=True, kw_only=True):
    """Who a host is."""

    host: str
    identity_key: str
    sealing_key: str
    enrolled_at_us: int
    agent_version: str


class Held(Struct, frozen=True, kw_only=True):
    """A join token that was given out."""

    id: str
    host: str
    secret_hash: str
    created_by: str
    created_us: int
    expires_us: int
    used_us: int | None = None
    """When a host got in with it: that host's identity has the same moment."""


class OverrideRow(Struct, frozen=True, kw_only=True):
    """What was said of a host on the page or with the command."""

    host: str
    mode: str
    reason: str
    until_us: int | None
    actor: str
    at_us: int


async def identity(connection: AsyncConnection, host: str) -> Identity | None:
    """Who enrolled under that name; None when nobody did."""
    columns = [host_identity.c[name] for name in Identity.__struct_fields__]
    row = (await connection.execute(select(*columns).where(host_identity.c.host == host))).mappings().first()
    return Identity(**row) if row else None


async def put_identity(connection: AsyncConnection, new: Identity) -> bool:
    """From now on the host is this one; whether there was another before."""
    old = await connection.execute(delete(host_identity).where(host_identity.c.host == new.host))
    values = {name: getattr(new, name) for name in Identity.__struct_fields__}
    await connection.execute(insert(host_identity).values(**values))
    return old.rowcount > 0


async def put_join_token(connection: AsyncConnection, held: Held) -> None:
    """Store a join token; those of the same host that were not used are void."""
    unused = delete(join_token).where(join_token.c.host == held.host, join_token.c.used_us.is_(None))
    await connection.execute(unused)
    await connection.execute(
        insert(join_token).values(**{name: getattr(held, name) for name in Held.__struct_fields__})
    )


async def given_join_token(connection: AsyncConnection, token_id: str) -> Held | None:
    """The join token of that id, whether it was used or not."""
    columns = [join_token.c[name] for name in Held.__struct_fields__]
    question = select(*columns).where(join_token.c.id == token_id)
    row = (await connection.execute(question)).mappings().first()
    return Held(**row) if row else None


async def use_join_token(connection: AsyncConnection, token_id: str, now_us: int) -> bool:
    """Use the token up. One update decides between two that come at once: True for the one that has it."""
    question = update(join_token).where(join_token.c.id == token_id, join_token.c.used_us.is_(None))
    return (await connection.execute(question.values(used_us=now_us))).rowcount == 1


async def put_override(connection: AsyncConnection, row: OverrideRow) -> None:
    """Say this of the host, instead of what was said before."""
    await connection.execute(delete(host_override).where(host_override.c.host == row.host))
    values = {name: getattr(row, name) for name in OverrideRow.__struct_fields__}
    await connection.execute(insert(host_override).values(**values))


async def override(connection: AsyncConnection, host: str) -> OverrideRow | None:
    """What was said of the host, also when it is over."""
    row = (await connection.execute(select(host_override).where(host_override.c.host == host))).mappings().first()
    return OverrideRow(**row) if row else None


async def drop_override(connection: AsyncConnection, host: str) -> bool:
    """Nothing is said of the host any more; whether there was something."""
    done = await connection.execute(delete(host_override).where(host_override.c.host == host))
    return done.rowcount > 0


async def declared(connection: AsyncConnection) -> set[str]:
    """Names of hosts in the catalogue."""
    return set(await connection.scalars(select(catalogue_entry.c.name).where(catalogue_entry.c.kind == "host")))


async def enrolled(connection: AsyncConnection) -> set[str]:
    """Names of hosts that were let in."""
    return set(await connection.scalars(select(host_identity.c.host)))


async def overrides(connection: AsyncConnection, now_us: int) -> dict[str, OverrideRow]:
    """What was said of hosts and is not over."""
    counts = or_(host_override.c.until_us.is_(None), host_override.c.until_us > now_us)
    rows = (await connection.execute(select(host_override).where(counts))).mappings()
    return {row["host"]: OverrideRow(**row) for row in rows}
