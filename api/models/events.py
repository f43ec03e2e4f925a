"""The audit log: appended, never changed, each line carrying the hash of the line before."""

from sqlalchemy import Index

from api.models.columns import BODY, HASH, MICROS, NUMBER, WORD, required, table, text

event = table(
    "event",
    # counted by the chain itself, without gaps: a line taken out is noticed
    required("id", NUMBER, primary_key=True, autoincrement=False),
    required("at_us", MICROS),
    # who: token:<name>, host:<name>, command, schedule, anonymous
    required("actor", text(200)),
    # what, e.g. catalogue.applied, enrolment.refused
    required("action", WORD),
    # to what, e.g. host/alpha
    required("subject", text(250)),
    # JSON object of texts
    required("detail", BODY),
    required("prev_hash", HASH),
    required("hash", HASH),
)

event_head = table(
    # One row, id 1: whoever appends locks it first.
    "event_head",
    required("id", NUMBER, primary_key=True, autoincrement=False),
    # the newest line; 0 before the first
    required("event_id", NUMBER),
    required("hash", HASH),
)

Index("ix_event_at_us", event.c.at_us)
Index("ix_event_subject_id", event.c.subject, event.c.id)
