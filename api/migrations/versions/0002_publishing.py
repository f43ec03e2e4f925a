"""What publishing adds: the feed of changes, generations, scripts and bundles."""

from sqlalchemy import column
from sqlalchemy import table as named

from api.migrations.steps import create_index, create_table, insert_row
from api.models.columns import BODY, DIGEST, MICROS, NUMBER, WORD, required, text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the tables."""
    create_table(
        "change_feed",
        required("id", NUMBER, primary_key=True, autoincrement=True),
        required("at_us", MICROS),
        required("topic", WORD),
        required("subject", text(250)),
    )
    create_index("change_feed", "at_us")
    create_table(
        "generation",
        required("name", WORD, primary_key=True),
        required("number", NUMBER),
    )
    insert_row(named("generation", column("name"), column("number")), "name", name="documents", number=0)
    create_table(
        "catalogue_script",
        required("path", text(200), primary_key=True),
        required("body", BODY),
        required("change_id", NUMBER),
    )
    create_table(
        "bundle",
        required("digest", DIGEST, primary_key=True),
        required("file", text(200)),
        required("size", NUMBER),
        required("data", BODY),
        required("kinds", BODY),
        required("added_us", MICROS),
    )
    create_table(
        "publication",
        required("id", NUMBER, primary_key=True, autoincrement=True),
        required("at_us", MICROS),
        required("change_id", NUMBER),
        required("inputs", DIGEST),
        required("documents", NUMBER),
        required("due_us", MICROS),
        required("orphans", BODY),
        required("refused", BODY),
        required("holder", text(200)),
    )
