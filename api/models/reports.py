"""What hosts sent: inserted once by id, ordered by the host's own sequence."""

from sqlalchemy import Index

from api.models.columns import DIGEST, HOST, MICROS, NUMBER, PACKED, WORD, required, table

report = table(
    "report",
    required("id", DIGEST, primary_key=True),
    required("host", HOST),
    required("seq", NUMBER),
    # the host's own clock
    required("at_us", MICROS),
    required("received_us", MICROS),
    # empty when the report carries no run
    required("run_id", WORD),
    required("body", PACKED),
)

Index("ix_report_host_seq", report.c.host, report.c.seq)
Index("ix_report_received_us", report.c.received_us)
