"""Who may come in. Of every secret only its hash is stored: 256 random bits need no slow hash."""

from sqlalchemy import ForeignKey, Index

from api.models.columns import HASH, MICROS, WORD, optional, required, table, text

api_token = table(
    "api_token",
    # public, for lists and for the log
    required("id", WORD, primary_key=True),
    required("name", text(100)),
    # viewer, operator, admin
    required("role", WORD),
    # permissions that narrow the role, separated by blanks; empty: all that the role has
    required("scopes", text(1000)),
    required("secret_hash", HASH, unique=True),
    required("created_by", text(200)),
    required("created_us", MICROS),
    optional("expires_us", MICROS),
    optional("revoked_us", MICROS),
    optional("used_us", MICROS),
)

session = table(
    "session",
    required("secret_hash", HASH, primary_key=True),
    required("token_id", WORD, ForeignKey("api_token.id", ondelete="CASCADE")),
    required("created_us", MICROS),
    required("expires_us", MICROS),
)

signin_link = table(
    "signin_link",
    required("secret_hash", HASH, primary_key=True),
    required("token_id", WORD, ForeignKey("api_token.id", ondelete="CASCADE")),
    required("created_us", MICROS),
    required("expires_us", MICROS),
    optional("used_us", MICROS),
)

Index("ix_session_token_id", session.c.token_id)
Index("ix_session_expires_us", session.c.expires_us)
Index("ix_signin_link_token_id", signin_link.c.token_id)
