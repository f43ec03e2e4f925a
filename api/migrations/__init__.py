"""The schema's history: numbered, forward only. `api.database.migrate` runs it."""

HEAD = "0005"
"""The newest migration; a test compares it with the files. Known without importing alembic, so a start stays fast."""
