"""The column types that all tables share, and the metadata they belong to.

Names compare byte for byte on every engine (MySQL's default collations take `A` for `a`, and `é` for `e`). Bodies are
bytes: what was signed or encoded is what is stored. Times are integer microseconds since 1970, UTC: MySQL's DATETIME
drops fractions, and order matters.
"""

import zlib
from collections.abc import Sequence
from typing import Any

from sqlalchemy import BigInteger, Column, Dialect, Integer, LargeBinary, MetaData, String, Table
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import SchemaItem
from sqlalchemy.types import TypeDecorator, TypeEngine

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


class Packed(TypeDecorator[bytes]):
    """Exact bytes that are many and compress well: what hosts report. A sixth
    of the disk, and of what it has to write."""

    impl = LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The column as it is made."""
        return dialect.type_descriptor(mysql.LONGBLOB() if dialect.name in {"mysql", "mariadb"} else LargeBinary())

    def process_bind_param(self, value: bytes | None, _dialect: Dialect) -> bytes | None:
        """Packed, at the speed that costs less than it saves."""
        return None if value is None else zlib.compress(value, 1)

    def process_result_value(self, value: bytes | None, _dialect: Dialect) -> bytes | None:
        """As it was given."""
        return None if value is None else zlib.decompress(value)


PACKED = Packed()
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
