"""MariaDB from Debian's mariadb-server package, run as a private server. Nothing of the system's own is touched."""

import getpass
import shutil
from pathlib import Path

from tests.servers.sql_server import SqlServer

# What a test does not ask of a database, it does not wait for: a bare start takes about a second.
_FAST = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=0",
)


class MariaDb:
    """How Debian's MariaDB is made and run."""

    name = "mariadb"

    def initialise(self, folder: Path) -> list[str]:
        """mariadb-install-db with a root that needs no password on the private socket."""
        return [
            _program("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'tmp'}",
            f"--user={getpass.getuser()}",
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            # Not every machine finds its own name.
            "--force",
        ]

    def serve(self, folder: Path, *, durable: bool) -> list[str]:
        """mariadbd in the foreground, small, on loopback."""
        return [
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'tmp'}",
            f"--pid-file={folder / 'server.pid'}",
            f"--user={getpass.getuser()}",
            "--bind-address=127.0.0.1",
            "--skip-name-resolve",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=48M",
            *(() if durable else _FAST),
        ]


def mariadb_server(*, durable: bool = False) -> SqlServer:
    """A running private MariaDB; the caller removes it."""
    return SqlServer(MariaDb(), durable=durable).create()


def _program(name: str) -> str:
    # Debian keeps the server in sbin, which is not on the path of an ordinary account.
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/bin")
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; run: apt-get install mariadb-server")
    return found
