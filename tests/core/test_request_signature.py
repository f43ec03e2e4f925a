"""Requests of hosts: signed, fresh, whole, and by the key they name; one test per forgery."""

import hmac
from base64 import b64decode, b64encode
from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from hypothesis import given, settings
from hypothesis import strategies as st

from desired_state.request_signature import RequestRefused, check_request, keyid_of, shared_key, sign_request

KEY, OTHER_KEY = b"k" * 32, b"o" * 32
IDENTITY = Ed25519PrivateKey.from_private_bytes(b"i" * 32)
TARGET = "/v1/hosts/app-1/reports?now=1"
BODY = b'{"reports":[]}'
CREATED = 1_772_000_000


def signed(
    method: str = "POST",
    target: str = TARGET,
    body: bytes | None = BODY,
    *,
    key: bytes | Ed25519PrivateKey = KEY,
    keyid: str = "app-1",
) -> dict[str, str]:
    """The headers of a signed request, names in lower case as a server sees them."""
    alg = "hmac-sha256" if isinstance(key, bytes) else "ed25519"
    headers = sign_request(method, target, body, keyid=keyid, key=key, alg=alg, created=CREATED, nonce="bm9uY2U_-")
    return {name.lower(): value for name, value in headers.items()}


def refusal(
    method: str = "POST",
    target: str = TARGET,
    headers: dict[str, str] | None = None,
    body: bytes | None = BODY,
    *,
    key: bytes | Ed25519PublicKey = KEY,
    now: float = CREATED,
) -> str:
    """Why a request is refused."""
    with pytest.raises(RequestRefused) as caught:
        check_request(method, target, signed() if headers is None else headers, body, key=key, now=now)
    return str(caught.value)


def test_a_signed_report_passes() -> None:
    """A request signed with the shared key passes and tells its keyid."""
    assert "app-1" == check_request("POST", TARGET, signed(), BODY, key=KEY, now=CREATED)


def test_a_signed_poll_passes() -> None:
    """A GET has no body and no digest."""
    headers = signed("GET", "/v1/hosts/app-1/document", None)
    assert "content-digest" not in headers
    assert "app-1" == check_request("GET", "/v1/hosts/app-1/document", headers, None, key=KEY, now=CREATED)


def test_an_identity_key_passes() -> None:
    """A request signed with an Ed25519 key passes with its public half."""
    headers = signed(key=IDENTITY)
    assert "app-1" == check_request("POST", TARGET, headers, BODY, key=IDENTITY.public_key(), now=CREATED)


def test_signature_base_is_the_rfcs() -> None:
    """The signature is over the base as section 2.5 of RFC 9421 writes it, made here by hand."""
    digest = f"sha-256=:{b64encode(sha256(BODY).digest()).decode()}:"
    parameters = (
        '("@method" "@request-target" "content-digest");created=1772000000;nonce="bm9uY2U_-";keyid="app-1"'
        ';alg="hmac-sha256"'
    )
    base = (
        f'"@method": POST\n"@request-target": {TARGET}\n"content-digest": {digest}\n"@signature-params": {parameters}'
    )
    mac = b64encode(hmac.digest(KEY, base.encode(), "sha256")).decode()
    wanted = {
        "content-digest": digest,
        "signature-input": f"towline={parameters}",
        "signature": f"towline=:{mac}:",
    }
    assert wanted == signed()


def test_signature_base_without_a_body() -> None:
    """The base of a request without a body has no line for a digest."""
    parameters = '("@method" "@request-target");created=1772000000;nonce="bm9uY2U_-";keyid="app-1";alg="hmac-sha256"'
    base = f'"@method": GET\n"@request-target": /v1/trust\n"@signature-params": {parameters}'
    mac = b64encode(hmac.digest(KEY, base.encode(), "sha256")).decode()
    wanted = {"signature-input": f"towline={parameters}", "signature": f"towline=:{mac}:"}
    assert wanted == signed("GET", "/v1/trust", None)


def test_hmac_vector_of_the_rfc() -> None:
    """The shared secret and signature base of RFC 9421, B.2.5, give its signature: our HMAC is that algorithm."""
    secret = "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ=="
    base = (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n"@authority": example.com\n"content-type": application/json\n'
        '"@signature-params": ("date" "@authority" "content-type");created=1618884473;keyid="test-shared-secret"'
    )
    mac = hmac.digest(b64decode(secret), base.encode(), "sha256")
    assert "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=" == b64encode(mac).decode()


def test_another_key_is_refused() -> None:
    """A request signed with another host's key is refused: the host is who the key says."""
    assert "does not fit" in refusal(headers=signed(key=OTHER_KEY))


def test_another_identity_key_is_refused() -> None:
    """A request signed with another identity key is refused."""
    stranger = Ed25519PrivateKey.from_private_bytes(b"s" * 32)
    assert "does not fit" in refusal(headers=signed(key=stranger), key=IDENTITY.public_key())


def test_another_method_is_refused() -> None:
    """A signed POST does not pass as a PUT."""
    assert "does not fit" in refusal(method="PUT")


@pytest.mark.parametrize("target", ["/v1/hosts/app-2/reports?now=1", "/v1/hosts/app-1/reports", TARGET + "0"])
def test_another_target_is_refused(target: str) -> None:
    """A request signed for one path and query does not pass for another."""
    assert "does not fit" in refusal(target=target)


def test_another_body_is_refused() -> None:
    """A changed body under the old headers is refused."""
    assert "Content-Digest" in refusal(body=BODY + b" ")


def test_another_body_with_its_own_digest_is_refused() -> None:
    """A changed body with a fitting digest that nobody signed is refused."""
    body = b'{"reports":[1]}'
    digest = f"sha-256=:{b64encode(sha256(body).digest()).decode()}:"
    assert "does not fit" in refusal(headers=signed() | {"content-digest": digest}, body=body)


def test_unsigned_body_is_refused() -> None:
    """A body whose digest is not among the signed parts is refused, so nobody adds one to a signed GET."""
    headers = signed("GET", TARGET, None)
    assert "does not sign the digest" in refusal(method="GET", headers=headers)


def test_bodyless_post_is_refused() -> None:
    """A caller that forgets to hand over the body of a POST is told so."""
    headers = signed("POST", TARGET, None)
    assert "must be signed" in refusal(headers=headers, body=None)


def test_digest_of_no_body_is_refused() -> None:
    """A GET that signs a digest is not one that our hosts send."""
    assert "not there" in refusal(method="GET", headers=signed("GET"), body=None)


@pytest.mark.parametrize("now", [CREATED + 301, CREATED - 301, 0, 4e9])
def test_stale_request_is_refused(now: float) -> None:
    """A request from too long ago, or from the future, is refused."""
    assert "clock" in refusal(now=now)


@pytest.mark.parametrize("now", [CREATED + 300, CREATED - 300])
def test_clocks_may_differ_by_minutes(now: float) -> None:
    """A request within the allowed age, either way, passes."""
    assert "app-1" == check_request("POST", TARGET, signed(), BODY, key=KEY, now=now)


def test_changed_time_is_refused() -> None:
    """Making an old request young breaks its signature."""
    headers = signed()
    headers["signature-input"] = headers["signature-input"].replace("1772000000", "1772009999")
    assert "does not fit" in refusal(headers=headers, now=1_772_009_999)


def test_changed_keyid_is_refused() -> None:
    """Writing another host's name into a signed request breaks its signature, whichever key is looked up."""
    headers = signed()
    headers["signature-input"] = headers["signature-input"].replace("app-1", "app-2")
    assert "does not fit" in refusal(headers=headers)


def test_public_key_is_no_hmac_key() -> None:
    """An HMAC under the public identity key, which everybody knows, is refused: the key decides the algorithm."""
    public = IDENTITY.public_key()
    assert "not for" in refusal(headers=signed(key=public.public_bytes_raw()), key=public)


def test_signature_key_is_no_identity_key() -> None:
    """An Ed25519 signature is not taken where an HMAC is due."""
    assert "not for" in refusal(headers=signed(key=IDENTITY))


GOOD = 'towline=("@method" "@request-target");created=1;nonce="abcdefgh";keyid="a";alg="hmac-sha256"'


@pytest.mark.parametrize(
    "value",
    [
        "",
        GOOD.replace("towline", "other"),
        GOOD.replace('"@method" ', ""),
        GOOD.replace(' "@request-target"', ""),
        GOOD.replace(";created=1", ""),
        GOOD.replace("created=1", "created=-1"),
        GOOD.replace("created=1", "created=" + "9" * 13),
        GOOD.replace(';nonce="abcdefgh"', ""),
        GOOD.replace('keyid="a"', 'keyid="A/../b"'),
        GOOD.replace('keyid="a"', 'keyid=""'),
        GOOD.replace("hmac-sha256", "none"),
        GOOD.replace("hmac-sha256", "rsa-v1_5-sha256"),
        GOOD + ";expires=1",
        GOOD + ", " + GOOD,
        GOOD + "\n",
        " " + GOOD,
    ],
)
def test_any_other_input_is_refused(value: str) -> None:
    """A Signature-Input that leaves a part unsigned, repeats, or is of another form is refused."""
    with pytest.raises(RequestRefused, match="Signature-Input"):
        keyid_of({"signature-input": value})


@pytest.mark.parametrize("value", ["", "towline=::", "towline=:!!:", "other=:AAAA:", "towline=:" + "A" * 42 + "==:"])
def test_any_other_signature_is_refused(value: str) -> None:
    """A Signature that is missing, of another label, or not base64 is refused."""
    refusal(headers=signed() | {"signature": value})


def test_keyid_is_read_first() -> None:
    """The keyid can be read before the key is known."""
    assert "app-1" == keyid_of(signed())


@pytest.mark.parametrize("changes", [{"nonce": 'x";alg="none'}, {"keyid": 'a";nonce="b'}, {"nonce": "short"}])
def test_header_injection_is_not_signed(changes: dict[str, str]) -> None:
    """Nonces and keyids that would end their quotes are not signed."""
    fields = {"keyid": "app-1", "nonce": "abcdefgh"} | changes
    with pytest.raises(ValueError, match="cannot carry"):
        sign_request("GET", "/", None, key=KEY, alg="hmac-sha256", created=1, **fields)


def test_key_and_algorithm_fit() -> None:
    """Nobody signs by an algorithm that the key is not for."""
    with pytest.raises(ValueError, match="not one for"):
        sign_request("GET", "/", None, keyid="a", key=KEY, alg="ed25519", created=1, nonce="abcdefgh")


def test_both_sides_derive_one_key() -> None:
    """Host and backend derive the same key, each from its private half and the other's public one."""
    host, backend = X25519PrivateKey.from_private_bytes(b"h" * 32), X25519PrivateKey.from_private_bytes(b"b" * 32)
    assert shared_key(host, backend.public_key(), "app-1") == shared_key(backend, host.public_key(), "app-1")


def test_keys_differ_by_names() -> None:
    """Another host name, another backend or another sealing key gives another key."""
    host, backend = X25519PrivateKey.from_private_bytes(b"h" * 32), X25519PrivateKey.from_private_bytes(b"b" * 32)
    keys = {
        shared_key(host, backend.public_key(), "app-1"),
        shared_key(host, backend.public_key(), "app-2"),
        shared_key(host, backend.public_key(), "app-1", "other"),
        shared_key(backend, backend.public_key(), "app-1"),
    }
    assert 4 == len(keys)


def test_low_order_exchange_key_is_an_error() -> None:
    """A peer's key of low order would make a key that everybody knows."""
    with pytest.raises(ValueError, match="shared key"):
        shared_key(X25519PrivateKey.from_private_bytes(b"h" * 32), X25519PublicKey.from_public_bytes(bytes(32)), "a")


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(["signature", "signature-input", "content-digest"]), st.text(max_size=60)))
def test_any_headers_are_refused_with_a_text(headers: dict[str, str]) -> None:
    """Any headers are refused with a text; none raises anything else."""
    assert "" != refusal(headers=headers)


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=20))
def test_any_other_target_is_refused(target: str) -> None:
    """A request line of any characters, also half ones, is refused; none raises anything else."""
    assert "does not fit" in refusal(target=f"/{target}")


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["signature", "signature-input", "content-digest"]), st.integers(min_value=0), st.characters())
def test_a_changed_character_is_refused(name: str, place: int, character: str) -> None:
    """A signed request with one character of a header changed is refused."""
    headers = signed()
    value = headers[name]
    place %= len(value)
    headers[name] = value[:place] + character + value[place + 1 :]
    if headers[name] != value:
        assert "" != refusal(headers=headers)
