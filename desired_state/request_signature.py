"""Requests that a host signs: a subset of RFC 9421 (HTTP Message Signatures) with RFC 9530's Content-Digest.

Covered are `@method`, `@request-target` (path and query, as they stand in the request line) and, when there is a body,
`content-digest`; parameters are created, nonce, keyid, alg, all of them always and in this order. One label, `towline`.
Strict reading of one form is what keeps it short: anything else that the RFC allows is refused.

Not here: a memory of nonces. Reports are idempotent by id, a join token is used up by one update, and a GET that is
played again tells nothing new; who wants to bound it further has `max_age_s`.
"""

import hmac
import re
from base64 import b64encode
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Mapping
from hashlib import sha256
from typing import Literal, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Algorithm = Literal["hmac-sha256", "ed25519"]
SharedKey: TypeAlias = bytes
"""32 bytes that both sides derive and neither sends."""

_INPUT = re.compile(
    r'towline=(\("@method" "@request-target"( "content-digest")?\)'
    r';created=([0-9]{1,12});nonce="[A-Za-z0-9_-]{8,64}"'
    r';keyid="([a-z0-9.-]{1,128})";alg="(hmac-sha256|ed25519)")'
)
_NONCE = re.compile(r"[A-Za-z0-9_-]{8,64}")
_KEYID = re.compile(r"[a-z0-9.-]{1,128}")
_SIGNATURE = re.compile(r"towline=:([A-Za-z0-9+/]{43,86}={1,2}):")


class RequestRefused(ValueError):
    """The request is not who it says, not whole, or not fresh: answer 401. The text says which, without secrets."""


def sign_request(
    method: str,
    target: str,
    body: bytes | None,
    *,
    keyid: str,
    key: SharedKey | Ed25519PrivateKey,
    alg: Algorithm,
    created: int,
    nonce: str,
) -> dict[str, str]:
    """The headers that sign a request: Signature-Input, Signature and, with a body, Content-Digest.

    `target` is the path with its query, as it is sent. `created` counts seconds since 1970. `nonce` is 8 to 64 random
    characters of base64url. Raises ValueError for what no reader would accept.
    """
    if not (_NONCE.fullmatch(nonce) and _KEYID.fullmatch(keyid)):
        raise ValueError("nonce or keyid holds characters that a signature cannot carry")
    if isinstance(key, bytes) != (alg == "hmac-sha256"):
        raise ValueError(f"the key given is not one for {alg}")
    digest = None if body is None else content_digest(body)
    covered = '("@method" "@request-target")' if digest is None else '("@method" "@request-target" "content-digest")'
    parameters = f'{covered};created={created};nonce="{nonce}";keyid="{keyid}";alg="{alg}"'
    base = _base(method, target, digest, parameters)
    signature = hmac.digest(key, base, "sha256") if isinstance(key, bytes) else key.sign(base)
    headers = {
        "Signature-Input": f"towline={parameters}",
        "Signature": f"towline=:{b64encode(signature).decode()}:",
    }
    return headers if digest is None else {"Content-Digest": digest, **headers}


def check_request(
    method: str,
    target: str,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    key: SharedKey | Ed25519PublicKey,
    now: float,
    max_age_s: float = 300,
) -> str:
    """The keyid that signed this very request. Raises RequestRefused.

    Header names are lower case. `body` is None only for methods that have none (GET, HEAD). `now` counts seconds since
    1970. The kind of key decides the algorithm; the header cannot talk its reader into another one.
    """
    found = _read_input(headers)
    _check_freshness(int(found[3]), now, max_age_s)
    if found[5] != ("hmac-sha256" if isinstance(key, bytes) else "ed25519"):
        raise RequestRefused(f"is signed with {found[5]}, which this key is not for")
    digest = _check_digest(method, headers, body, covered=found[2] is not None)
    base = _base(method, target, digest, found[1])
    if not _is_signed(key, base, _read_signature(headers)):
        raise RequestRefused(f"the signature by {found[4]} does not fit the request")
    return found[4]


def keyid_of(headers: Mapping[str, str]) -> str:
    """Whose key to look up: what the request claims, believed only after `check_request`. Raises RequestRefused."""
    return _read_input(headers)[4]


def content_digest(body: bytes) -> str:
    """The value of the Content-Digest header."""
    return f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"


def shared_key(
    own_private: X25519PrivateKey, peer_public: X25519PublicKey, host: str, backend: str = "towline"
) -> SharedKey:
    """The key of a host's requests: X25519, then HKDF-SHA256 bound to both names. The same from either side.

    Raises ValueError for a peer's key of low order, which would make a key that everybody knows.
    """
    secret = own_private.exchange(peer_public)
    info = b"towline request key 1\x00" + backend.encode() + b"\x00" + host.encode()
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)


def _base(method: str, target: str, digest: str | None, parameters: str) -> bytes:
    """The signature base of RFC 9421, section 2.5."""
    covered = "" if digest is None else f'"content-digest": {digest}\n'
    text = f'"@method": {method}\n"@request-target": {target}\n{covered}"@signature-params": {parameters}'
    return text.encode("utf-8", "surrogatepass")  # a request line of any bytes is refused, not a crash


def _read_input(headers: Mapping[str, str]) -> re.Match[str]:
    found = _INPUT.fullmatch(headers.get("signature-input", ""))
    if found is None:
        raise RequestRefused("has no Signature-Input that this backend reads")
    return found


def _read_signature(headers: Mapping[str, str]) -> bytes:
    found = _SIGNATURE.fullmatch(headers.get("signature", ""))
    if found is None:
        raise RequestRefused("has no Signature that this backend reads")
    try:
        return a2b_base64(found[1], strict_mode=True)
    except Base64Error as error:
        raise RequestRefused("its Signature is not base64") from error


def _check_freshness(created: int, now: float, max_age_s: float) -> None:
    if abs(now - created) > max_age_s:
        raise RequestRefused(
            f"was signed {now - created:.0f} s ago by its own clock, at most {max_age_s:.0f} s either way are "
            "accepted: set the host's clock right"
        )


def _check_digest(method: str, headers: Mapping[str, str], body: bytes | None, *, covered: bool) -> str | None:
    if body is None:
        if method not in {"GET", "HEAD"}:
            raise RequestRefused(f"a {method} has a body, and its digest must be signed")
        if covered:
            raise RequestRefused("signs the digest of a body that is not there")
        return None
    if not covered:
        raise RequestRefused("does not sign the digest of its body")
    digest = content_digest(body)
    if headers.get("content-digest") != digest:  # no secret: who sent the body knows its digest
        raise RequestRefused("its body is not the one that Content-Digest tells")
    return digest


def _is_signed(key: SharedKey | Ed25519PublicKey, base: bytes, signature: bytes) -> bool:
    if isinstance(key, bytes):
        return hmac.compare_digest(hmac.digest(key, base, "sha256"), signature)
    try:
        key.verify(signature, base)
    except InvalidSignature:
        return False
    return True
