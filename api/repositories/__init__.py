"""Questions to the database, by name. None of them commits."""
