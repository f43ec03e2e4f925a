"""Secrets, and what was sealed of them."""

from api.migrations.steps import create_table
from api.models.columns import BODY, HOST, MICROS, NUMBER, SENTENCE, WORD, optional, required, text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the tables."""
    create_table(
        "secret",
        required("name", WORD, primary_key=True),
        required("version", NUMBER, primary_key=True, autoincrement=False),
        optional("ciphertext", BODY),
        required("created_by", text(200)),
        required("created_us", MICROS),
        required("note", SENTENCE),
        optional("removed_us", MICROS),
    )
    create_table(
        "sealed_secret",
        required("host", HOST, primary_key=True),
        required("name", WORD, primary_key=True),
        required("version", NUMBER, primary_key=True, autoincrement=False),
        required("sealing_key", WORD, primary_key=True),
        required("sealed", BODY),
    )
