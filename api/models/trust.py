"""The trust notes: which publisher keys count, version by version."""

from api.models.columns import BODY, DIGEST, MICROS, NUMBER, required, table

trust = table(
    "trust",
    required("version", NUMBER, primary_key=True, autoincrement=False),
    required("epoch", NUMBER),
    # of the note's text: what a join token pins
    required("digest", DIGEST),
    required("note", BODY),
    required("issued_at_us", MICROS),
)
