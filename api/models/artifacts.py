"""Files that hosts fetch by digest: packages and script bundles."""

from sqlalchemy import Index

from api.models.columns import DIGEST, MICROS, NUMBER, WORD, required, table, text

artifact = table(
    "artifact",
    required("digest", DIGEST, primary_key=True),
    required("size", NUMBER),
    # its own name, for people
    required("file", text(200)),
    # where the bytes lie: relative to the state folder, or absolute
    required("path", text(1000)),
    # bundle, package
    required("kind", WORD),
    required("added_us", MICROS),
    # of a package: what it is called and which version it is; empty where nobody said
    required("package", text(96), server_default=""),
    required("version", WORD, server_default=""),
)

Index("ix_artifact_package", artifact.c.package)
