"""Agents that are broken on purpose, each in one way and only as `run`: what an upgrade must undo by itself.

archive = broken(agent_archive(), folder, "hangs", version="0.2.0")
"""

import tarfile
from pathlib import Path
from textwrap import indent

from tests.servers.agent_archive import variant

START = "site/__main__.py"
BREAKS = {
    "crashes": 'raise SystemExit("broken on purpose: ends at its start")',
    # It holds the lock of the host, answers nobody, and its event loop stands still.
    "hangs": """\
import time
from puller.agent import Agent
Agent.run = lambda agent: time.sleep(86400)
""",
    # Passes go on with the document that is there; nothing can be reported.
    "unreachable": """\
from puller.ports import Unavailable
from puller.transport.http_client import HttpClient
def unreachable(client, method, url, **_):
    raise Unavailable("broken on purpose: no way to " + url)
HttpClient.stream = unreachable
""",
    # A migration that fails in its middle, on whatever database it finds.
    "schema": """\
from puller.store import connection
def migrate(db, *_, **__):
    db.executescript("BEGIN IMMEDIATE; CREATE TABLE half_way (n); CREATE TABLE half_way (n); COMMIT;")
connection.migrate = migrate
""",
    # Its schema is one ahead, with a way back; then it ends. The agent before it must be able to go on.
    "ends-ahead": """\
from puller.store import connection, schema
own = connection.migrate
step = schema.Migration(forward="CREATE TABLE of_the_next (n INTEGER);", back="DROP TABLE of_the_next;")
def migrate(db, *_, **how):
    own(db, (*schema.MIGRATIONS, step), **how)
    raise RuntimeError("broken on purpose: ends when its schema is ahead")
connection.migrate = migrate
""",
}


def broken(archive: Path, folder: Path, how: str, *, version: str) -> Path:
    """An archive whose agent is broken in the way of that name in BREAKS; every other command works."""
    with tarfile.open(archive) as tar:
        file = tar.extractfile(START)
        assert file is not None
        source = file.read().decode()
    start = "    from puller.cli import main\n"
    assert start in source
    broken_start = f'    import sys\n\n    if "run" in sys.argv:\n{indent(BREAKS[how], " " * 8)}\n{start}'
    return variant(archive, folder, version=version, patch={START: source.replace(start, broken_start).encode()})
