"""The backend: catalogue, publisher, ingest, page."""
