"""Files that hosts fetch by digest: packages and script bundles."""

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
)
