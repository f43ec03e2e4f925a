"""Secrets that we hand out: 256 random bits as text, of which we keep a hash only.

No slow hash is needed: nobody guesses 256 bits. The look-up is by the hash, so a comparison's duration tells nothing
about the secret.
"""

import secrets
from hashlib import sha256

API_TOKEN_PREFIX = "towline-"  # noqa: S105 - so that scanners and people recognise one


def new_secret() -> str:
    """43 characters of base64url."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """16 hex digits: public, not secret, and never taken for an option on a command line."""
    return secrets.token_hex(8)


def hash_of(secret: str, purpose: str) -> str:
    """What is stored instead: 64 hex digits. The purpose keeps a session's secret from being a token's."""
    return sha256(f"towline {purpose}\x00{secret}".encode()).hexdigest()
