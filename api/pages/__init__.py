"""The web page: templates, static files, and how values become words on it."""
