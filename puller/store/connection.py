"""The open database: one connection, one thread, every transaction one function in one hop."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Concatenate, ParamSpec, Self, TypeVar

import aiosqlite

from puller import disk
from puller.single_flight import holder
from puller.store.schema import migrate

P = ParamSpec("P")
T = TypeVar("T")
BUSY_TIMEOUT_S = 10.0


class Store(aiosqlite.Connection):
    """The puller's database.

    aiosqlite's own methods are one hop each: a task that is cancelled between two of them leaves a transaction open.
    Here a whole transaction is one function that the database's thread runs to its end, whoever still waits for it.
    """

    async def open(self) -> Self:
        """Connects. When that fails, the database's thread has ended before this raises."""
        try:
            await self
        except BaseException:
            await asyncio.to_thread(self._thread.join)
            raise
        return self

    async def transact(
        self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs `question` in one transaction, durable when this returns, undone when it raises."""

        def run() -> T:
            return _in_transaction(self._conn, "BEGIN IMMEDIATE", lambda: question(self._conn, *args, **kwargs))

        result: T = await self._execute(run)  # type: ignore[no-untyped-call]
        return result

    async def read(
        self, question: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Runs a question that writes nothing, on one consistent view."""

        def run() -> T:
            return _in_transaction(self._conn, "BEGIN", lambda: question(self._conn, *args, **kwargs))

        result: T = await self._execute(run)  # type: ignore[no-untyped-call]
        return result


async def open_store(path: Path, *, lock: Path | None = None) -> Store:
    """Opens the database for the one process that writes the record, and migrates it. Close it, or the exit hangs.

    `lock`: where the puller of this host says that it runs. Under one of another version nothing is migrated: a command
    of the next release must not take the tables from the agent that works with them, nor one of the last give others.
    Raises Stalled for a file of a newer puller, sqlite3.Error for one that is damaged.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)

    def nobody_else() -> bool:
        return lock is None or holder(lock) in (None, os.getpid())

    return await Store(lambda: _connect(path, nobody_else), iter_chunk_size=64).open()


def read_store(path: Path) -> sqlite3.Connection:
    """The database as it is, for looking only: works beside a running puller, and with everything else down."""
    db = _read_only(path, "mode=ro")
    try:
        db.execute("SELECT 1 FROM sqlite_master LIMIT 1")
    except sqlite3.Error as error:
        db.close()
        if not isinstance(error, sqlite3.OperationalError) or disk.seen(path.parent) != "read-only":
            raise
        return _read_only(path, "immutable=1")  # WAL's index cannot be made there; nobody writes there either
    return db


def _read_only(path: Path, how: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?{how}", uri=True, isolation_level=None, timeout=BUSY_TIMEOUT_S)


def _connect(path: Path, may_change: Callable[[], bool]) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=BUSY_TIMEOUT_S, check_same_thread=False)
    try:
        path.chmod(0o600)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        migrate(db, may_change=may_change)
    except BaseException:
        db.close()
        raise
    return db


def _in_transaction(db: sqlite3.Connection, begin: str, run: Callable[[], T]) -> T:
    db.execute(begin)
    try:
        result = run()
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:  # a full disk has rolled it back already
            db.execute("ROLLBACK")
        raise
    return result
