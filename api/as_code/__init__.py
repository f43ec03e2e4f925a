"""The catalogue as code: from a folder or a branch, and YAML to entries with file, line and field."""
