"""Hosts as the backend knows them beside the catalogue: who they are, what is overridden, what they said last."""

from sqlalchemy import Index

from api.models.columns import (
    DIGEST,
    HOST,
    MICROS,
    NUMBER,
    PACKED,
    SENTENCE,
    WORD,
    optional,
    required,
    table,
    text,
)

host_identity = table(
    "host_identity",
    required("host", HOST, primary_key=True),
    # base64 of the Ed25519 public key that signs changes of keys
    required("identity_key", WORD),
    # base64 of the X25519 public key that secrets are sealed to, and that request keys derive from
    required("sealing_key", WORD),
    required("enrolled_at_us", MICROS),
    required("agent_version", WORD),
    # boot id of its newest report; empty before the first
    required("boot_id", WORD, server_default=""),
    # when two senders were last seen under this identity; NULL: never
    optional("clone_seen_us", MICROS),
)

host_override = table(
    # What somebody said on the page or with the command: rendered into the document when it is published.
    "host_override",
    required("host", HOST, primary_key=True),
    required("mode", WORD),
    required("reason", SENTENCE),
    optional("until_us", MICROS),
    required("actor", text(200)),
    required("at_us", MICROS),
)

host_status = table(
    # The newest report of each host; the narrow columns are for counting and filtering without reading bodies.
    "host_status",
    required("host", HOST, primary_key=True),
    required("seq", NUMBER),
    # the host's own clock
    required("at_us", MICROS),
    # our clock: when it was last heard of, report or heartbeat. Freshness is derived from it, never stored.
    required("seen_us", MICROS),
    required("status", PACKED),
    required("sync", WORD),
    required("health", WORD),
    required("mode", WORD),
    # True, False, Unknown
    required("ready", WORD),
    required("ready_reason", WORD),
    # whether the condition Stalled is True
    required("stalled", NUMBER),
    # changes still outstanding after the pass
    required("outstanding", NUMBER),
    optional("accepted_epoch", NUMBER),
    optional("accepted_revision", NUMBER),
    optional("applied_revision", NUMBER),
    # of the document that the host holds; empty when it holds none
    required("document_digest", text(71)),
    required("agent_version", WORD),
)

join_token = table(
    "join_token",
    required("id", WORD, primary_key=True),
    required("host", HOST),
    required("secret_hash", DIGEST),
    required("created_by", text(200)),
    required("created_us", MICROS),
    required("expires_us", MICROS),
    optional("used_us", MICROS),
)

Index("ix_host_status_seen_us", host_status.c.seen_us)
Index("ix_join_token_host", join_token.c.host)
