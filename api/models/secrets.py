"""Secrets: encrypted under a key that is not in the database, and sealed to the hosts that use them."""

from api.models.columns import BODY, HOST, MICROS, NUMBER, SENTENCE, WORD, optional, required, table, text

secret = table(
    # A row per version, never deleted: a name that is set anew goes on counting, or hosts would see no change.
    "secret",
    required("name", WORD, primary_key=True),
    required("version", NUMBER, primary_key=True, autoincrement=False),
    # NULL once no published document names this version and it is not the newest
    optional("ciphertext", BODY),
    required("created_by", text(200)),
    required("created_us", MICROS),
    required("note", SENTENCE),
    optional("removed_us", MICROS),
)

sealed_secret = table(
    # What documents carry. Sealing twice gives other bytes, so it is done once: documents stay as they are.
    "sealed_secret",
    required("host", HOST, primary_key=True),
    required("name", WORD, primary_key=True),
    required("version", NUMBER, primary_key=True, autoincrement=False),
    # base64 of the host's X25519 public key
    required("sealing_key", WORD, primary_key=True),
    # base64 of what HPKE made
    required("sealed", BODY),
)
