"""The first tables."""

from sqlalchemy import ForeignKey, column
from sqlalchemy import table as named

from api.migrations.steps import create_index, create_table, insert_row
from api.models.columns import BODY, DIGEST, HASH, HOST, MICROS, NUMBER, SENTENCE, WORD, optional, required, text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make everything."""
    _catalogue()
    _hosts()
    _documents()
    _reports()
    _events()
    _access()


def _catalogue() -> None:
    create_table(
        "catalogue_change",
        required("id", NUMBER, primary_key=True, autoincrement=True),
        required("ref", text(100)),
        required("author", text(500)),
        required("summary", SENTENCE),
        required("source", WORD),
        required("at_us", MICROS),
        required("state", WORD),
        required("problems", BODY),
        required("changed", BODY),
    )
    create_table(
        "catalogue_entry",
        required("kind", WORD, primary_key=True),
        required("name", text(200), primary_key=True),
        required("body", BODY),
        required("digest", DIGEST),
        required("change_id", NUMBER),
    )
    create_table(
        "catalogue_head",
        required("id", NUMBER, primary_key=True, autoincrement=False),
        required("change_id", NUMBER),
    )
    create_index("catalogue_change", "state", "id")
    insert_row(named("catalogue_head", column("id"), column("change_id")), "id", id=1, change_id=0)


def _hosts() -> None:
    create_table(
        "host_identity",
        required("host", HOST, primary_key=True),
        required("identity_key", WORD),
        required("sealing_key", WORD),
        required("enrolled_at_us", MICROS),
        required("agent_version", WORD),
        required("boot_id", WORD, server_default=""),
        optional("clone_seen_us", MICROS),
    )
    create_table(
        "host_override",
        required("host", HOST, primary_key=True),
        required("mode", WORD),
        required("reason", SENTENCE),
        optional("until_us", MICROS),
        required("actor", text(200)),
        required("at_us", MICROS),
    )
    create_table(
        "host_status",
        required("host", HOST, primary_key=True),
        required("seq", NUMBER),
        required("at_us", MICROS),
        required("seen_us", MICROS),
        required("status", BODY),
        required("sync", WORD),
        required("health", WORD),
        required("mode", WORD),
        required("ready", WORD),
        required("ready_reason", WORD),
        required("stalled", NUMBER),
        required("outstanding", NUMBER),
        optional("accepted_epoch", NUMBER),
        optional("accepted_revision", NUMBER),
        optional("applied_revision", NUMBER),
        required("document_digest", text(71)),
        required("agent_version", WORD),
    )
    create_table(
        "join_token",
        required("id", WORD, primary_key=True),
        required("host", HOST),
        required("secret_hash", DIGEST),
        required("created_by", text(200)),
        required("created_us", MICROS),
        required("expires_us", MICROS),
        optional("used_us", MICROS),
    )
    create_index("host_status", "seen_us")
    create_index("join_token", "host")


def _documents() -> None:
    create_table(
        "document",
        required("host", HOST, primary_key=True),
        required("revision", NUMBER, primary_key=True, autoincrement=False),
        required("epoch", NUMBER),
        required("digest", DIGEST),
        required("content_digest", DIGEST),
        required("note", BODY),
        required("issued_at_us", MICROS),
        required("expires_at_us", MICROS),
        required("change_id", NUMBER),
    )
    create_table(
        "host_document",
        required("host", HOST, primary_key=True),
        required("revision", NUMBER),
        required("epoch", NUMBER),
        required("digest", DIGEST),
        required("content_digest", DIGEST),
        required("note", BODY),
        required("issued_at_us", MICROS),
        required("expires_at_us", MICROS),
    )
    create_table(
        "delivered",
        required("target", WORD, primary_key=True),
        required("host", HOST, primary_key=True),
        required("digest", DIGEST),
        required("at_us", MICROS),
    )
    create_index("document", "issued_at_us")
    create_index("host_document", "expires_at_us")
    create_table(
        "artifact",
        required("digest", DIGEST, primary_key=True),
        required("size", NUMBER),
        required("file", text(200)),
        required("path", text(1000)),
        required("kind", WORD),
        required("added_us", MICROS),
    )
    create_table(
        "trust",
        required("version", NUMBER, primary_key=True, autoincrement=False),
        required("epoch", NUMBER),
        required("digest", DIGEST),
        required("note", BODY),
        required("issued_at_us", MICROS),
    )
    create_table(
        "lease",
        required("name", WORD, primary_key=True),
        required("holder", text(200)),
        required("fence", NUMBER),
        required("until_us", MICROS),
    )


def _reports() -> None:
    create_table(
        "report",
        required("id", DIGEST, primary_key=True),
        required("host", HOST),
        required("seq", NUMBER),
        required("at_us", MICROS),
        required("received_us", MICROS),
        required("run_id", WORD),
        required("body", BODY),
    )
    create_index("report", "host", "seq")
    create_index("report", "received_us")


def _events() -> None:
    create_table(
        "event",
        required("id", NUMBER, primary_key=True, autoincrement=False),
        required("at_us", MICROS),
        required("actor", text(200)),
        required("action", WORD),
        required("subject", text(250)),
        required("detail", BODY),
        required("prev_hash", HASH),
        required("hash", HASH),
    )
    create_table(
        "event_head",
        required("id", NUMBER, primary_key=True, autoincrement=False),
        required("event_id", NUMBER),
        required("hash", HASH),
    )
    create_index("event", "at_us")
    create_index("event", "subject", "id")
    head = named("event_head", column("id"), column("event_id"), column("hash"))
    insert_row(head, "id", id=1, event_id=0, hash="0" * 64)


def _access() -> None:
    create_table(
        "api_token",
        required("id", WORD, primary_key=True),
        required("name", text(100)),
        required("role", WORD),
        required("scopes", text(1000)),
        required("secret_hash", HASH, unique=True),
        required("created_by", text(200)),
        required("created_us", MICROS),
        optional("expires_us", MICROS),
        optional("revoked_us", MICROS),
        optional("used_us", MICROS),
    )
    create_table(
        "session",
        required("secret_hash", HASH, primary_key=True),
        required("token_id", WORD, ForeignKey("api_token.id", ondelete="CASCADE")),
        required("created_us", MICROS),
        required("expires_us", MICROS),
    )
    create_table(
        "signin_link",
        required("secret_hash", HASH, primary_key=True),
        required("token_id", WORD, ForeignKey("api_token.id", ondelete="CASCADE")),
        required("created_us", MICROS),
        required("expires_us", MICROS),
        optional("used_us", MICROS),
    )
    create_index("session", "token_id")
    create_index("session", "expires_us")
    create_index("signin_link", "token_id")
