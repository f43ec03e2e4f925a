"""Scripts: those of the catalogue's own repository, published bundles, and what invited hosts begin with."""

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

agent_script = table(
    # The joined `agentctl.sh` as join tokens name it: each replica must have it, also one of another version.
    "agent_script",
    required("digest", DIGEST, primary_key=True),
    required("body", BODY),
    required("added_us", MICROS),
    # until the last join token that names it is over
    required("expires_us", MICROS),
)
