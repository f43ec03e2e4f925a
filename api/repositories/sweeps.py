"""Questions about what is old. Each deletes at most `limit` rows and returns how many it did."""

from typing import Any

from sqlalchemy import Column, Table, and_, delete, func, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from api.models import (
    agent_script,
    catalogue_change,
    change_feed,
    document,
    host_document,
    host_status,
    join_token,
    publication,
    report,
    session,
    signin_link,
)
from api.repositories import events


async def old_reports(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """Reports that were received before that moment, but for the newest of each host."""
    newest = select(host_status.c.seq).where(host_status.c.host == report.c.host).scalar_subquery()
    old = (report.c.received_us < before_us) & (func.coalesce(newest, 0) != report.c.seq)
    return await _drop(connection, report.c.id, select(report.c.id).where(old).limit(limit))


async def surplus_reports(connection: AsyncConnection, keep: int, *, limit: int) -> int:
    """The oldest reports of hosts that have more than so many."""
    gone = 0
    for host in await _with_more(connection, report.c.host, keep, limit):
        surplus = select(report.c.id).where(report.c.host == host).order_by(report.c.seq.desc(), report.c.id)
        gone += await _drop(connection, report.c.id, surplus.offset(keep).limit(limit - gone))
        if gone >= limit:
            break
    return gone


async def surplus_documents(connection: AsyncConnection, keep: int, *, limit: int) -> int:
    """The oldest documents of hosts that have more than so many; never the one that counts."""
    gone = 0
    for host in await _with_more(connection, document.c.host, keep, limit):
        current = await connection.scalar(select(host_document.c.revision).where(host_document.c.host == host))
        surplus = (
            select(document.c.revision)
            .where(document.c.host == host, document.c.revision != (current or 0))
            .order_by(document.c.revision.desc())
            .offset(max(keep - 1, 0))
            .limit(limit - gone)
        )
        revisions = list(await connection.scalars(surplus))
        keys = tuple_(document.c.host, document.c.revision).in_([(host, revision) for revision in revisions])
        if revisions:
            await connection.execute(delete(document).where(keys))
        gone += len(revisions)
        if gone >= limit:
            break
    return gone


async def old_events(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """Lines of the audit log from before that moment: only its beginning goes, so that the chain stays whole."""
    return await events.drop_older(connection, before_us, limit=limit)


async def refused_changes(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """Changes of the catalogue that were refused before that moment."""
    old = (catalogue_change.c.state == "refused") & (catalogue_change.c.at_us < before_us)
    return await _drop(connection, catalogue_change.c.id, select(catalogue_change.c.id).where(old).limit(limit))


async def ended_access(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """Sessions, sign-in links, join tokens and the scripts these named, whose time was over before that moment."""
    gone = 0
    for column, ends in (
        (session.c.secret_hash, session.c.expires_us),
        (signin_link.c.secret_hash, signin_link.c.expires_us),
        (join_token.c.id, join_token.c.expires_us),
        (agent_script.c.digest, agent_script.c.expires_us),
    ):
        ended = select(column).where(ends < before_us).limit(limit - gone)
        gone += await _drop(connection, column, ended)
    return gone


async def old_feed(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """What open pages were told before that moment."""
    old = select(change_feed.c.id).where(change_feed.c.at_us < before_us).limit(limit)
    return await _drop(connection, change_feed.c.id, old)


async def old_publications(connection: AsyncConnection, before_us: int, *, limit: int) -> int:
    """Publications from before that moment, but for the newest."""
    newest = await connection.scalar(select(func.max(publication.c.id)))
    old = and_(publication.c.at_us < before_us, publication.c.id != (newest or 0))
    return await _drop(connection, publication.c.id, select(publication.c.id).where(old).limit(limit))


async def _with_more(connection: AsyncConnection, column: Column[Any], than: int, limit: int) -> list[str]:
    question = select(column).group_by(column).having(func.count() > than).limit(limit)
    return list(await connection.scalars(question))


async def _drop(connection: AsyncConnection, column: Column[Any], which: Any) -> int:
    """Delete by keys that were read first: MySQL deletes from no table that the same statement reads."""
    keys = list(await connection.scalars(which))
    table = column.table
    if keys and isinstance(table, Table):
        await connection.execute(delete(table).where(column.in_(keys)))
    return len(keys)
