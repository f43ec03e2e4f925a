"""MySQL from Debian sid, in a tree of its own: no released suite of Debian has it."""

import getpass
from pathlib import Path

from tests.servers.debian_suite import SuiteTree, suite_tree
from tests.servers.sql_server import SqlServer

_FAST = (
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--innodb-doublewrite=OFF",
)


class MySql:
    """How the tree's MySQL is made and run."""

    name = "mysql"

    def __init__(self, tree: SuiteTree) -> None:
        self._tree = tree

    def initialise(self, folder: Path) -> list[str]:
        """A data folder whose root needs no password on the private socket."""
        return [*self._mysqld(folder), "--initialize-insecure"]

    def serve(self, folder: Path, *, durable: bool) -> list[str]:
        """mysqld in the foreground, small, on loopback."""
        return [
            *self._mysqld(folder),
            f"--pid-file={folder / 'server.pid'}",
            f"--plugin-dir={self._tree.path('usr/lib/mysql/plugin')}",
            f"--character-sets-dir={self._tree.path('usr/share/mysql/charsets')}",
            "--bind-address=127.0.0.1",
            "--mysqlx=0",
            "--skip-name-resolve",
            "--skip-log-bin",
            "--performance-schema=OFF",
            "--innodb-buffer-pool-size=64M",
            *(() if durable else _FAST),
        ]

    def _mysqld(self, folder: Path) -> list[str]:
        return [
            *self._tree.command("usr/sbin/mysqld"),
            "--no-defaults",
            f"--user={getpass.getuser()}",
            f"--basedir={self._tree.path('usr')}",
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder / 'tmp'}",
            f"--lc-messages-dir={self._tree.path('usr/share/mysql')}",
            # Compiled in is /var/lib/mysql-files, and mysqld aborts where that folder is missing.
            "--secure-file-priv=",
        ]


def mysql_server(*, durable: bool = False) -> SqlServer:
    """A running private MySQL, fetched on first use; the caller removes it."""
    return SqlServer(MySql(suite_tree("sid", "mysql-server-core")), durable=durable).create()
