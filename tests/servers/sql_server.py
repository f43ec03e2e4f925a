"""A private SQL server for tests: the part that MariaDB and MySQL have in common."""

import shutil
import subprocess
import tempfile
from itertools import count
from pathlib import Path
from typing import Protocol, Self

import pymysql

from tests.servers.process import ServerProcess, ServerStartError, free_port

ACCOUNT = "towline"
PASSWORD = "only-on-loopback"


class Engine(Protocol):
    """How one brand of server is made and run."""

    name: str

    def initialise(self, folder: Path) -> list[str]:
        """The command that fills folder/data, as the current account, root without a password."""

    def serve(self, folder: Path, *, durable: bool) -> list[str]:
        """The command that serves folder/data in the foreground; port and socket are added to it."""


class SqlServer:
    """One server with its own data folder, unix socket and loopback port.

    ``durable`` keeps fsync on, for tests that kill the server and ask what is left; everywhere else it is off.
    """

    def __init__(self, engine: Engine, *, durable: bool = False) -> None:
        self._engine = engine
        self._durable = durable
        # Not below pytest's temporary folder: a unix socket's path is limited to 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix=f"towline-{engine.name}-"))
        self._socket = self.folder / "sql.sock"
        self._log = self.folder / "server.log"
        self._numbers = count(1)
        self._process: ServerProcess | None = None
        self.port = 0

    def create(self) -> Self:
        """Make the data folder, start the server, and make the account that tests log in with."""
        # A server that starts deletes every temporary table it finds in its tmpdir, also those of a neighbour.
        (self.folder / "tmp").mkdir()
        self._log.touch()
        made = subprocess.run(
            self._engine.initialise(self.folder), capture_output=True, text=True, timeout=120, check=False
        )
        if made.returncode != 0:
            raise ServerStartError(f"{self._engine.name} could not make its data folder:\n{made.stdout}{made.stderr}")
        self.start()
        self._ask(
            f"CREATE USER '{ACCOUNT}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'",
            f"GRANT ALL ON *.* TO '{ACCOUNT}'@'127.0.0.1'",
        )
        return self

    def start(self) -> None:
        """Start on the data folder as it is; the port stays what it was, so that open URLs keep working."""
        for _ in range(5):
            port = self.port or free_port()
            command = [
                *self._engine.serve(self.folder, durable=self._durable),
                f"--socket={self._socket}",
                f"--port={port}",
            ]
            self._process = ServerProcess(command, log=self._log)
            try:
                self._process.wait_until(self._answers)
            except ServerStartError:
                if "ddress already in use" not in self._process.log_tail():
                    raise
                continue
            self.port = port
            return
        raise ServerStartError(f"{self._engine.name}: five free ports were taken before it could listen")

    def stop(self) -> None:
        """Shut down in order; the data stays."""
        if self._process is not None:
            self._process.stop()

    def kill(self) -> None:
        """SIGKILL; the data stays as it is on disk."""
        if self._process is not None:
            self._process.kill()

    def remove(self) -> None:
        """Stop, and delete everything."""
        self.stop()
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """Make an empty database; return its name."""
        name = f"towline_{next(self._numbers)}"
        self._ask(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        return name

    def drop_database(self, name: str) -> None:
        """Remove it, so that a long run does not fill the disk."""
        self._ask(f"DROP DATABASE IF EXISTS {name}")

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database, over TCP as in production."""
        return f"mysql+aiomysql://{ACCOUNT}:{PASSWORD}@127.0.0.1:{self.port}/{database}?charset=utf8mb4"

    def _answers(self) -> bool:
        try:
            self._ask("SELECT 1")
        except pymysql.err.OperationalError:
            return False
        return True

    def _ask(self, *statements: str) -> None:
        with (
            pymysql.connect(unix_socket=str(self._socket), user="root", autocommit=True) as connection,
            connection.cursor() as cursor,
        ):
            for statement in statements:
                cursor.execute(statement)
