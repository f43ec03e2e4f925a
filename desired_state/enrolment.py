"""How a host becomes known: a one-time join token, keys that the host makes itself, and the proof that it holds them.

The join token travels from a person to the host, out of band: it names the host, the backend, and the digest of the
trust file, so that neither side has to believe the network. Its secret is shown once; the backend keeps its hash. The
request is signed with the new identity key (possession), and the token is used up by one atomic update (the backend's
repository does that; here is what can be said without a database).
"""

import hmac
from base64 import b64decode, b64encode, urlsafe_b64decode, urlsafe_b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from msgspec import Meta, Struct

from desired_state.document import Url
from desired_state.names import Digest, HostName, Text, Timestamp
from desired_state.note import is_weak
from desired_state.request_signature import RequestRefused, check_request

MAX_BYTES = 1 << 14
"""No enrolment request, and no join token, is larger."""
TokenId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{8,64}$(?!\n)")]
TokenSecret = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{32,128}$(?!\n)")]
PublicKey = Annotated[str, Meta(pattern=r"^[A-Za-z0-9+/]{43}=$(?!\n)")]
"""32 bytes of a public key, base64."""
AgentDigest = Annotated[str, Meta(pattern=r"^(sha256:[0-9a-f]{64})?$(?!\n)", max_length=71)]
"""The digest of a file that is run on the host; empty where the token names none."""
_AGENT_VERSION = r"^([A-Za-z0-9][A-Za-z0-9._+~-]{0,63})?$(?!\n)"
_PREFIX = "towline-join-1."


class EnrolmentRefused(ValueError):
    """Nobody was let in; asking again in the same way will not help. The text says why, without secrets."""


class JoinToken(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a person carries to the host, once. Read from standard input or a file, never from the command line.

    The fields about the agent are left out where they are empty: a token that names no agent is what it always was.
    A shell script reads them too, before anything that it fetched is run: compact JSON, no escapes in these fields.
    """

    host: HostName
    id: TokenId
    secret: TokenSecret
    backend_url: Url
    trust_digest: Digest
    """Of the text of the trust file: which publisher this host will believe."""
    expires_at: Timestamp
    agentctl_digest: AgentDigest = ""
    """Of the joined `agentctl.sh`, which installs the agent."""
    agent_digest: AgentDigest = ""
    """Of the agent's archive."""
    agent_size: Annotated[int, Meta(ge=0, le=2**53 - 1)] = 0
    """Bytes of that archive."""
    agent_version: Annotated[str, Meta(pattern=_AGENT_VERSION, max_length=64)] = ""
    """It becomes part of a folder's name on the host, so it is a version, or empty."""

    def encode(self) -> str:
        """Its text form: one line without spaces."""
        return _PREFIX + urlsafe_b64encode(msgspec.json.encode(self)).decode().rstrip("=")

    @classmethod
    def decode(cls, text: str) -> "JoinToken":
        """The token in that text; space around it is ignored. Raises EnrolmentRefused, never showing the text."""
        encoded = text.strip()
        if not encoded.startswith(_PREFIX) or len(encoded) > MAX_BYTES:
            raise EnrolmentRefused(f"this is not a join token; one starts with {_PREFIX}")
        encoded = encoded.removeprefix(_PREFIX)
        try:
            data = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
            token = msgspec.json.decode(data, type=cls, strict=True)
        except (Base64Error, UnicodeError, msgspec.MsgspecError, RecursionError):
            token = None
        if token is None or token.encode() != text.strip():
            raise EnrolmentRefused("the join token is cut off or changed; copy the whole line again")
        return token

    def __repr__(self) -> str:
        return f"JoinToken(host={self.host!r}, id={self.id!r})"


class EnrolmentRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The body of POST /v1/enrolments, signed with the identity key that it names."""

    schema: Literal["towline.enrolment/1"] = "towline.enrolment/1"
    host: HostName
    token_id: TokenId
    token_secret: TokenSecret
    identity_key: PublicKey
    """Ed25519: who this host is from now on."""
    sealing_key: PublicKey
    """X25519: secrets are sealed to it, and the key of requests is derived from it."""
    agent_version: Text = ""
    at: Timestamp

    def __repr__(self) -> str:
        return f"EnrolmentRequest(host={self.host!r}, token_id={self.token_id!r})"


class SourceSettings(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where the host shall ask for its document. Credentials never come this way."""

    type: Literal["http", "git", "directory"]
    url: Annotated[str, Meta(max_length=2000)] = ""
    branch: Annotated[str, Meta(max_length=200)] = ""
    path: Annotated[str, Meta(max_length=1000)] = ""


class EnrolmentAnswer(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The host is known. It believes the trust file only when its digest is the one in the join token."""

    host: HostName
    trust: Annotated[str, Meta(max_length=1 << 16)]
    """The text of the first trust note, with its signatures."""
    sources: tuple[SourceSettings, ...] = ()
    """In order of preference. Empty: the backend itself, over HTTP."""


class HeldToken(Struct, frozen=True, kw_only=True):
    """What the backend keeps of a join token that was given out."""

    host: HostName
    id: TokenId
    secret_hash: Digest
    expires_at: Timestamp


def secret_hash(secret: str) -> Digest:
    """What the backend stores instead of a token's secret. The secret is random and long: no salt is needed."""
    return f"sha256:{sha256(b'towline join token' + secret.encode()).hexdigest()}"


def text_of_key(public: bytes) -> str:
    """32 bytes of a public key as requests carry them."""
    return b64encode(public).decode()


def identity_key_of(text: str) -> Ed25519PublicKey:
    """The identity key in that text. Raises EnrolmentRefused, also for one that anybody can sign for."""
    key = _key_bytes(text, "identity_key")
    if is_weak(key):
        raise EnrolmentRefused("identity_key is a point of small order, which proves nothing")
    return Ed25519PublicKey.from_public_bytes(key)


def sealing_key_of(text: str) -> X25519PublicKey:
    """The sealing key in that text. Raises EnrolmentRefused, also for one of low order: all would share its secret."""
    key = X25519PublicKey.from_public_bytes(_key_bytes(text, "sealing_key"))
    try:
        X25519PrivateKey.from_private_bytes(bytes(32)).exchange(key)
    except ValueError as error:
        raise EnrolmentRefused("sealing_key is a point of low order, which protects nothing") from error
    return key


def read_enrolment(body: bytes, target: str, headers: Mapping[str, str], *, now: datetime) -> EnrolmentRequest:
    """The request, well formed and signed by the identity key it names. Raises EnrolmentRefused.

    It says nothing yet about the right to enrol: `check_token` does.
    """
    if len(body) > MAX_BYTES:
        raise EnrolmentRefused(f"is {len(body)} bytes long; at most {MAX_BYTES} are read")
    try:
        request = msgspec.json.decode(body, type=EnrolmentRequest, strict=True)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EnrolmentRefused(f"is not an enrolment request: {error}") from error
    sealing_key_of(request.sealing_key)
    try:
        keyid = check_request(
            "POST", target, headers, body, key=identity_key_of(request.identity_key), now=now.timestamp()
        )
    except RequestRefused as error:
        raise EnrolmentRefused(f"does not prove that it holds identity_key: {error}") from error
    if keyid != request.host:
        raise EnrolmentRefused(f"is signed as {keyid}, but asks for {request.host}")
    return request


def check_token(request: EnrolmentRequest, held: HeldToken | None, *, now: datetime) -> None:
    """Passes when the token gives this host the right to enrol. Raises EnrolmentRefused.

    `held` is None when no token has that id. One that was used lets in nobody else: that is its keeper's to say. To the
    outside all but expiry should read the same: the text is
    for the audit.
    """
    offered = secret_hash(request.token_secret)
    if held is None:
        raise EnrolmentRefused(f"join token {request.token_id} is not known, or is void; invite the host again")
    if not hmac.compare_digest(offered, held.secret_hash):
        raise EnrolmentRefused(f"join token {request.token_id} has another secret")
    if request.host != held.host:
        raise EnrolmentRefused(f"join token {held.id} is for {held.host}, not for {request.host}")
    if now >= held.expires_at:
        raise EnrolmentRefused(f"join token {held.id} expired at {held.expires_at:%Y-%m-%d %H:%M %Z}; invite again")


def _key_bytes(text: str, field: str) -> bytes:
    try:
        key = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        key = b""
    if len(key) != 32 or text_of_key(key) != text:
        raise EnrolmentRefused(f"{field} is not the base64 of 32 bytes")
    return key
