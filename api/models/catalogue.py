"""What is declared: the entries, and the changes that made them."""

from sqlalchemy import Index

from api.models.columns import BODY, DIGEST, MICROS, NUMBER, SENTENCE, WORD, required, table, text

catalogue_change = table(
    "catalogue_change",
    required("id", NUMBER, primary_key=True, autoincrement=True),
    # a commit id, the digest of a folder, or change-<id>
    required("ref", text(100)),
    required("author", text(500)),
    required("summary", SENTENCE),
    # git, folder, api, page, command
    required("source", WORD),
    required("at_us", MICROS),
    # applied, refused
    required("state", WORD),
    # JSON list of problems: errors of a refused change, warnings of an applied one
    required("problems", BODY),
    # JSON list of {entry: "service/orders", action: added|changed|removed}
    required("changed", BODY),
)

catalogue_entry = table(
    "catalogue_entry",
    # service, package, host
    required("kind", WORD, primary_key=True),
    required("name", text(200), primary_key=True),
    # JSON of the entry's struct
    required("body", BODY),
    # of the body's bytes; the entry's ETag
    required("digest", DIGEST),
    required("change_id", NUMBER),
)

catalogue_head = table(
    # One row, id 1: whoever changes the catalogue locks it first, because a change is judged by the whole.
    "catalogue_head",
    required("id", NUMBER, primary_key=True, autoincrement=False),
    # the newest applied change; 0 before the first
    required("change_id", NUMBER),
)

Index("ix_catalogue_change_state_id", catalogue_change.c.state, catalogue_change.c.id)
