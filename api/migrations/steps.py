"""The steps of migrations, each of which looks first.

MySQL commits at every DDL statement, so a migration that was cut off leaves half of itself behind. A step that finds
itself done does nothing: the migration can be run again from its beginning.
"""

from typing import Any

from alembic import op
from sqlalchemy import Column, TableClause, inspect, select
from sqlalchemy.schema import SchemaItem

from api.models.columns import MYSQL_TABLE


def create_table(name: str, *items: Column[Any] | SchemaItem) -> None:
    """Make the table unless it is there."""
    if not inspect(op.get_bind()).has_table(name):
        op.create_table(name, *items, **MYSQL_TABLE)


def create_index(table: str, *columns: str, unique: bool = False) -> None:
    """Make the index unless it is there."""
    name = f"{'uq' if unique else 'ix'}_{table}_{'_'.join(columns)}"
    if all(index["name"] != name for index in inspect(op.get_bind()).get_indexes(table)):
        op.create_index(name, table, list(columns), unique=unique)


def add_column(table: str, column: Column[Any]) -> None:
    """Add the column unless it is there."""
    if all(known["name"] != column.name for known in inspect(op.get_bind()).get_columns(table)):
        op.add_column(table, column)


def insert_row(table: TableClause[Any], key: str, **values: Any) -> None:
    """Insert one row unless one with that key is there."""
    there = op.get_bind().execute(select(table.c[key]).where(table.c[key] == values[key])).first()
    if there is None:
        op.get_bind().execute(table.insert().values(**values))
