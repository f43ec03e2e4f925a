"""What was published: every document of every host, and the one that counts now."""

from sqlalchemy import Index

from api.models.columns import BODY, DIGEST, HOST, MICROS, NUMBER, WORD, required, table

document = table(
    "document",
    required("host", HOST, primary_key=True),
    required("revision", NUMBER, primary_key=True, autoincrement=False),
    required("epoch", NUMBER),
    # of the note's bytes
    required("digest", DIGEST),
    # of the content: what makes a host's document differ, without revision and dates
    required("content_digest", DIGEST),
    # the signed note: the exact bytes that were published
    required("note", BODY),
    required("issued_at_us", MICROS),
    required("expires_at_us", MICROS),
    required("change_id", NUMBER),
)

host_document = table(
    # What GET /v1/hosts/{name}/document answers.
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

delivered = table(
    # What was put last to each target that is not this database.
    "delivered",
    required("target", WORD, primary_key=True),
    required("host", HOST, primary_key=True),
    required("digest", DIGEST),
    required("at_us", MICROS),
)

Index("ix_document_issued_at_us", document.c.issued_at_us)
Index("ix_host_document_expires_at_us", host_document.c.expires_at_us)
