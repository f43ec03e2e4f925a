"""What bringing the agent onto a host adds: the script that invited hosts begin with, and packages by name."""

from api.migrations.steps import add_column, create_index, create_table
from api.models.columns import BODY, DIGEST, MICROS, WORD, required, text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the table and the columns."""
    create_table(
        "agent_script",
        required("digest", DIGEST, primary_key=True),
        required("body", BODY),
        required("added_us", MICROS),
        required("expires_us", MICROS),
    )
    add_column("artifact", required("package", text(96), server_default=""))
    add_column("artifact", required("version", WORD, server_default=""))
    create_index("artifact", "package")
