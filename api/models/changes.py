"""What tells others that something is new: the page's stream, and caches that hold what tables say."""

from sqlalchemy import Index

from api.models.columns import MICROS, NUMBER, WORD, required, table, text

change_feed = table(
    # What pages that are open shall look at again. Swept after minutes: nobody reads it later.
    "change_feed",
    required("id", NUMBER, primary_key=True, autoincrement=True),
    required("at_us", MICROS),
    # host, catalogue, publication
    required("topic", WORD),
    # which one: a host's name; empty for all
    required("subject", text(250)),
)

generation = table(
    # A number per kind of data, raised in the transaction that changes it: equal numbers mean unchanged data.
    "generation",
    # documents
    required("name", WORD, primary_key=True),
    required("number", NUMBER),
)

Index("ix_change_feed_at_us", change_feed.c.at_us)
