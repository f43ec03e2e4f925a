"""Enrolment: who gets in, and every way in which nobody does."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from desired_state.enrolment import (
    EnrolmentRefused,
    EnrolmentRequest,
    HeldToken,
    JoinToken,
    check_token,
    read_enrolment,
    sealing_key_of,
    secret_hash,
    text_of_key,
)
from desired_state.request_signature import sign_request
from tests.core.publisher import HOST, NOW

TARGET = "/v1/enrolments"
SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"
IDENTITY = Ed25519PrivateKey.from_private_bytes(b"i" * 32)
STRANGER = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
SEALING = X25519PrivateKey.from_private_bytes(b"x" * 32)
TOKEN = JoinToken(
    host=HOST,
    id="token-0001",
    secret=SECRET,
    backend_url="https://towline.example",
    trust_digest="sha256:" + "ab" * 32,
    expires_at=NOW + timedelta(hours=1),
)
OLD_TOKEN = msgspec.json.encode(
    {
        "host": HOST,
        "id": "token-0001",
        "secret": SECRET,
        "backend_url": "https://towline.example",
        "trust_digest": "sha256:" + "ab" * 32,
        "expires_at": NOW + timedelta(hours=1),
    }
)
HELD = HeldToken(host=HOST, id=TOKEN.id, secret_hash=secret_hash(SECRET), expires_at=TOKEN.expires_at)


def request_of(**changes: Any) -> EnrolmentRequest:
    """The request of a host that joins."""
    fields: dict[str, Any] = {
        "host": HOST,
        "token_id": TOKEN.id,
        "token_secret": SECRET,
        "identity_key": text_of_key(IDENTITY.public_key().public_bytes_raw()),
        "sealing_key": text_of_key(SEALING.public_key().public_bytes_raw()),
        "agent_version": "0.1.0",
        "at": NOW,
    }
    return EnrolmentRequest(**fields | changes)


def sent(body: bytes, *, key: Ed25519PrivateKey = IDENTITY, keyid: str = HOST, target: str = TARGET) -> dict[str, str]:
    """The headers of that body, signed."""
    headers = sign_request(
        "POST",
        target,
        body,
        keyid=keyid,
        key=key,
        alg="ed25519",
        created=int(NOW.timestamp()),
        nonce="abcdefgh",
    )
    return {name.lower(): value for name, value in headers.items()}


def refusal(body: bytes, headers: dict[str, str] | None = None) -> str:
    """Why an enrolment request is refused."""
    with pytest.raises(EnrolmentRefused) as caught:
        read_enrolment(body, TARGET, sent(body) if headers is None else headers, now=NOW)
    return str(caught.value)


def token_refusal(request: EnrolmentRequest, held: HeldToken | None, **changes: Any) -> str:
    """Why a token gives no right."""
    with pytest.raises(EnrolmentRefused) as caught:
        check_token(request, held, **{"now": NOW} | changes)
    return str(caught.value)


def test_a_host_joins() -> None:
    """A request signed with its own identity key and holding an unused token is let in."""
    body = msgspec.json.encode(request_of())
    request = read_enrolment(body, TARGET, sent(body), now=NOW)
    check_token(request, HELD, now=NOW)
    assert request_of() == request


def test_a_join_token_is_one_line() -> None:
    """A join token writes one line, and that line reads as the token, with space around it."""
    text = TOKEN.encode()
    assert (True, [text], TOKEN) == (text.startswith("towline-join-1."), text.split(), JoinToken.decode(f" {text}\n"))


def test_a_token_without_an_agent_is_what_it_was() -> None:
    """Its bytes are those of before tokens named an agent; a token of then reads as one without."""
    text = "towline-join-1." + urlsafe_b64encode(OLD_TOKEN).decode().rstrip("=")
    assert (text, TOKEN) == (TOKEN.encode(), JoinToken.decode(text))


def test_a_join_token_names_the_agent() -> None:
    """Digests, size and version of the agent travel with it, in JSON that a shell's regular expression reads."""
    digest = "sha256:" + "0a" * 32
    token = structs.replace(
        TOKEN, agentctl_digest="sha256:" + "cd" * 32, agent_digest=digest, agent_size=31_000_000, agent_version="0.4.0"
    )
    encoded = token.encode().removeprefix("towline-join-1.")
    text = urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    assert f'"agent_digest":"{digest}","agent_size":31000000,"agent_version":"0.4.0"}}'.encode() in text
    assert token == JoinToken.decode(token.encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"agentctl_digest": "ab"},
        {"agent_digest": "sha256:" + "AB" * 32},
        {"agent_digest": "sha256:" + "ab" * 32 + "\n"},
        {"agent_size": -1},
        {"agent_size": "1"},
        {"agent_version": "../x"},
        {"agent_version": "1 2"},
    ],
)
def test_what_a_token_says_of_the_agent_is_strict(changes: dict[str, object]) -> None:
    """A digest, size or version in a bad form is refused: a shell script will use it."""
    fields = msgspec.to_builtins(TOKEN) | changes
    text = "towline-join-1." + urlsafe_b64encode(msgspec.json.encode(fields)).decode().rstrip("=")
    with pytest.raises(EnrolmentRefused, match="cut off or changed"):
        JoinToken.decode(text)


def test_a_changed_join_token_is_refused() -> None:
    """A join token that is cut off at any place is refused, and the error does not show it."""
    text = TOKEN.encode()
    for length in range(len(text)):
        with pytest.raises(EnrolmentRefused) as caught:
            JoinToken.decode(text[:length])
        assert length < 40 or text[20:length] not in str(caught.value)


def test_a_join_token_has_one_text() -> None:
    """The same token in another text is refused."""
    text = "towline-join-1." + urlsafe_b64encode(msgspec.json.encode(TOKEN).replace(b",", b", ")).decode().rstrip("=")
    with pytest.raises(EnrolmentRefused, match="cut off or changed"):
        JoinToken.decode(text)


@pytest.mark.parametrize("text", ["", TOKEN.encode()[15:], "x" + TOKEN.encode(), TOKEN.encode() + "A" * 20_000])
def test_what_is_no_join_token_is_told(text: str) -> None:
    """Text that does not begin like a join token, or is far too long for one, is told to be none."""
    with pytest.raises(EnrolmentRefused, match="not a join token"):
        JoinToken.decode(text)


@pytest.mark.parametrize(
    "changes", [{"host": "../x"}, {"secret": "short"}, {"backend_url": "ftp://x"}, {"trust_digest": "ab"}, {"extra": 1}]
)
def test_a_join_token_is_strict(changes: dict[str, object]) -> None:
    """A join token with a bad or unknown field is refused."""
    fields = msgspec.to_builtins(TOKEN) | changes
    text = "towline-join-1." + urlsafe_b64encode(msgspec.json.encode(fields)).decode().rstrip("=")
    with pytest.raises(EnrolmentRefused, match="cut off or changed"):
        JoinToken.decode(text)


def test_secrets_are_not_printed() -> None:
    """Neither a join token nor a request shows its secret when it is printed."""
    assert SECRET not in repr(TOKEN) + repr(request_of()) + str(TOKEN)


def test_possession_is_proven() -> None:
    """A request that names an identity key but was signed with another is refused."""
    body = msgspec.json.encode(request_of())
    assert "prove" in refusal(body, sent(body, key=STRANGER))


def test_unsigned_request_is_refused() -> None:
    """A request without a signature is refused."""
    assert "prove" in refusal(msgspec.json.encode(request_of()), {})


def test_signature_of_another_route_is_refused() -> None:
    """A signature made for another route does not enrol."""
    body = msgspec.json.encode(request_of())
    assert "prove" in refusal(body, sent(body, target="/v1/other"))


def test_signed_name_is_the_asked_one() -> None:
    """A request signed under one name does not enrol another."""
    body = msgspec.json.encode(request_of())
    assert "is signed as" in refusal(body, sent(body, keyid="app-2.example"))


@pytest.mark.parametrize("field", ["identity_key", "sealing_key"])
@pytest.mark.parametrize("text", ["", "AAAA", "A" * 42 + "B=", "!" * 43 + "=", "A" * 44])
def test_bad_key_is_refused(field: str, text: str) -> None:
    """A key that is not the base64 of 32 bytes is refused."""
    body = msgspec.json.encode(request_of(**{field: text}))
    assert field in refusal(body)


@pytest.mark.parametrize("field", ["identity_key", "sealing_key"])
def test_loose_key_is_refused(field: str) -> None:
    """A second text for the same key bytes is refused."""
    text = str(getattr(request_of(), field))
    loose = text[:-2] + chr(ord(text[-2]) + 1) + "="
    body = msgspec.json.encode(request_of(**{field: loose}))
    assert f"{field} is not the base64" in refusal(body)


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31), b"\x01" + bytes(30) + b"\x80"])
def test_weak_identity_key_is_refused(public: bytes) -> None:
    """An identity key under which anybody can sign is refused."""
    body = msgspec.json.encode(request_of(identity_key=text_of_key(public)))
    assert "small order" in refusal(body)


@pytest.mark.parametrize("public", [bytes(32), b"\x01" + bytes(31)])
def test_weak_sealing_key_is_refused(public: bytes) -> None:
    """A sealing key with which everybody shares one secret is refused."""
    with pytest.raises(EnrolmentRefused, match="low order"):
        sealing_key_of(text_of_key(public))


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 10_000, b"\xff", b'{"host":1}'])
def test_what_is_no_request_is_refused(body: bytes) -> None:
    """A body that is no enrolment request is refused."""
    assert "not an enrolment request" in refusal(body)


def test_a_huge_request_is_refused() -> None:
    """A body beyond the bound is refused unread."""
    assert "at most" in refusal(msgspec.json.encode(request_of()) + b" " * 20_000)


def test_unknown_token_is_refused() -> None:
    """A token that was never given out enrols nobody."""
    assert "is not known, or is void" in token_refusal(request_of(), None)


def test_wrong_secret_is_refused() -> None:
    """Knowing a token's id does not help."""
    assert "another secret" in token_refusal(request_of(token_secret="x" * 36), HELD)


def test_another_hosts_token_is_refused() -> None:
    """A token for one host does not enrol another."""
    assert "is for" in token_refusal(request_of(host="app-2.example"), HELD)


def test_expired_token_is_refused() -> None:
    """A token past its time enrols nobody."""
    assert "expired" in token_refusal(request_of(), HELD, now=TOKEN.expires_at)


def test_refusals_do_not_tell_the_secret() -> None:
    """No refusal repeats the secret that was offered."""
    texts = [
        token_refusal(request_of(), None),
        token_refusal(request_of(), HELD, now=TOKEN.expires_at),
        token_refusal(request_of(host="app-2.example"), HELD),
    ]
    assert [] == [text for text in texts if SECRET in text]


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=80) | st.text(alphabet="ABCabc019-_=", max_size=80).map("towline-join-1.".__add__))
def test_any_text_is_refused_or_a_token(text: str) -> None:
    """Any text is refused as a join token; none raises anything else."""
    with pytest.raises(EnrolmentRefused):
        JoinToken.decode(text)
