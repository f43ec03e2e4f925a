"""What a publication held back."""

from api.migrations.steps import add_column
from api.models.columns import BODY, optional

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the column."""
    add_column("publication", optional("held", BODY))
