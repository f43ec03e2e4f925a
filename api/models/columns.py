"""The column types that all tables share, and the metadata they belong to.

Names compare byte for byte on every engine (MySQL's default collations take `A` for `a`, and `é` for `e`). Bodies are
bytes: what was signed or encoded is what is stored. Times are integer microseconds since 1970, UTC: MySQL's DATETIME
drops fractions, and order matters.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

MYSQL_TABLE: dict[str, Any] = {"mysql_engine": "InnoDB", "mysql_charset": "utf8mb4", "mysql_collate": "utf8mb4_bin"}


def text(length: int) -> TypeEngine[str]:
    """Text of at most so many characters, compared byte for byte."""
    binary = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return String(length).with_variant(binary, "mysql", "mariadb")


BODY: TypeEngine[bytes] = LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
"""Exact bytes: a note, or JSON as msgspec wrote it."""
NUMBER: TypeEngine[int] = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit integer. SQLite counts up by itself only in a column of type INTEGER, which holds 64 bits there."""
MICROS = NUMBER
"""A moment: microseconds since 1970-01-01 UTC."""
HOST: TypeEngine[str] = text(128)
DIGEST: TypeEngine[str] = text(71)
"""`sha256:` and 64 hex digits."""
HASH: TypeEngine[str] = text(64)
"""64 hex digits: the sha256 of a secret, which is not stored itself."""
WORD: TypeEngine[str] = text(64)
"""A word from a closed set, or a short name."""
SENTENCE: TypeEngine[str] = text(2000)


def table(name: str, *items: Column[Any] | SchemaItem, extra: Sequence[SchemaItem] = ()) -> Table:
    """A table of the backend, with the options that MySQL needs."""
    return Table(name, metadata, *items, *extra, **MYSQL_TABLE)


def required(name: str, kind: TypeEngine[Any], *items: SchemaItem, **options: Any) -> Column[Any]:
    """A column that is never NULL."""
    return Column(name, kind, *items, nullable=False, **options)


def optional(name: str, kind: TypeEngine[Any]) -> Column[Any]:
    """A column that may be NULL: nothing is known, or it has not happened."""
    return Column(name, kind, nullable=True)
