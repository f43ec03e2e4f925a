"""What was published: every document of every host, and the one that counts now."""

from sqlalchemy import Index

from api.models.columns import BODY, DIGEST, HOST, MICROS, NUMBER, WORD, optional, required, table, text

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

publication = table(
    # Each time that all documents were rendered, and what came of it.
    "publication",
    required("id", NUMBER, primary_key=True, autoincrement=True),
    required("at_us", MICROS),
    required("change_id", NUMBER),
    # of all that documents are made of: while it is the same, rendering would give the same again
    required("inputs", DIGEST),
    # how many documents were issued
    required("documents", NUMBER),
    # when there is something to issue again though nothing changes
    required("due_us", MICROS),
    # JSON list of hosts that left the catalogue; what is published for them stays
    required("orphans", BODY),
    # JSON object: host -> why no document could be made for it
    required("refused", BODY),
    # JSON object: host -> what of its document goes on as published, and why; NULL in rows of older versions
    optional("held", BODY),
    # which process published
    required("holder", text(200)),
)

Index("ix_document_issued_at_us", document.c.issued_at_us)
Index("ix_host_document_expires_at_us", host_document.c.expires_at_us)
