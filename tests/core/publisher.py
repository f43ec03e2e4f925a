"""An in-memory publisher that signs on demand, for one test per attack."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

from desired_state import document
from desired_state.document import Artifact, Document, Origin, Service
from desired_state.note import SigningKey, sign
from desired_state.trust import Trust, sign_trust

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
HOST = "app-1.example"


def key(name: str, number: int) -> SigningKey:
    """A key that is the same in every run."""
    return SigningKey.generate(name, bytes([number]) * 32)


PUBLISHER, SECOND, STRANGER = key("publisher", 1), key("second", 2), key("stranger", 3)
ROOT, NEXT_ROOT, OTHER_ROOT = key("root", 4), key("next-root", 5), key("other-root", 6)


def trust_of(**changes: Any) -> Trust:
    """A trust file: one publisher, one root, both with a threshold of one."""
    fields: dict[str, Any] = {
        "schema": "towline.trust/1",
        "version": 1,
        "epoch": 1,
        "keys": (str(PUBLISHER.verifier),),
        "threshold": 1,
        "root_keys": (str(ROOT.verifier),),
        "root_threshold": 1,
        "exchange_key": b64encode(bytes(range(32))).decode(),
        "issued_at": NOW,
    }
    return Trust(**fields | changes)


def trust_note(*keys: SigningKey, **changes: Any) -> bytes:
    """A signed trust file."""
    return sign_trust(trust_of(**changes), keys or (ROOT,))


def document_of(**changes: Any) -> Document:
    """A document for HOST that holds for 90 days."""
    fields: dict[str, Any] = {
        "schema": "towline.document/1",
        "host": HOST,
        "epoch": 1,
        "revision": 7,
        "issued_at": NOW,
        "expires_at": NOW + timedelta(days=90),
        "origin": Origin(change="change-7", author="张伟", summary="More memory"),
        "bundle": Artifact(digest="sha256:" + "ab" * 32, size=4096, file="scripts.tar.gz"),
        "services": (
            Service(name="cache", kind="redis", version="7.2", parameters={"port": 6379, "maxmemory": "256mb"}),
            Service(name="orders", kind="java", version="1.4", depends_on=("cache",), parameters={"debug": False}),
        ),
    }
    return Document(**fields | changes)


def note_of(*keys: SigningKey, **changes: Any) -> bytes:
    """A signed document."""
    return sign(document.encode(document_of(**changes)), keys or (PUBLISHER,))
