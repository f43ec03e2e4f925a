"""Scripts: those of the catalogue's own repository, and the bundles that were published."""

from api.models.columns import BODY, DIGEST, MICROS, NUMBER, required, table, text

catalogue_script = table(
    # Files of `scripts/` beside the catalogue: they add kinds to those that towline ships.
    "catalogue_script",
    required("path", text(200), primary_key=True),
    required("body", BODY),
    required("change_id", NUMBER),
)

bundle = table(
    # Bundles are small and every replica must have them, also one of another version: so their bytes are here.
    "bundle",
    required("digest", DIGEST, primary_key=True),
    required("file", text(200)),
    required("size", NUMBER),
    required("data", BODY),
    # JSON of BundleIndex
    required("kinds", BODY),
    required("added_us", MICROS),
)
