"""A host gets in once, by its join token, with keys of its own; whoever else tries is refused and written down."""

import asyncio
from base64 import b64decode, b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from sqlalchemy import select

from api.database import make_engine, snapshot
from api.errors import Forbidden
from api.models import host_identity, join_token
from api.services import enrolment
from desired_state.enrolment import EnrolmentRequest, JoinToken
from desired_state.note import VerifierKey, open_note
from desired_state.request_signature import shared_key, sign_request
from desired_state.trust import accept_trust
from tests.api.house import Answer, House

PATH = "/v1/enrolments"


class Host:
    """A host with keys of its own."""

    def __init__(self, token: JoinToken) -> None:
        self.token = token
        self.identity = Ed25519PrivateKey.generate()
        self.sealing = X25519PrivateKey.generate()

    def request(self, house: House, **other: Any) -> EnrolmentRequest:
        fields = {
            "host": self.token.host,
            "token_id": self.token.id,
            "token_secret": self.token.secret,
            "identity_key": _text(self.identity.public_key().public_bytes_raw()),
            "sealing_key": _text(self.sealing.public_key().public_bytes_raw()),
            "agent_version": "1",
            "at": house.time,
        }
        return EnrolmentRequest(**{**fields, **other})

    def signed(self, house: House, **other: Any) -> tuple[bytes, dict[str, str]]:
        body = msgspec.json.encode(self.request(house, **other))
        headers = sign_request(
            "POST",
            PATH,
            body,
            keyid=other.get("host", self.token.host),
            key=self.identity,
            alg="ed25519",
            created=int(house.time.timestamp()),
            nonce="nonce-nonce",
        )
        return body, headers

    def enrol(self, house: House, **other: Any) -> Answer:
        body, headers = self.signed(house, **other)
        return house.ask("POST", PATH, body, role=None, **headers)


def _text(key: bytes) -> str:
    return b64encode(key).decode()


def _invited(house: House, name: str = "alpha") -> Host:
    answer = house.ask("POST", f"/v1/hosts/{name}/invitation", {})
    assert answer.status == 201
    return Host(JoinToken.decode(answer.json["join_token"]))


def _log(house: House, action: str) -> list[dict[str, Any]]:
    return [line for line in house.ask("GET", "/v1/events").json["items"] if line["action"] == action]


def _identities(house: House) -> list[str]:
    async def names(engine: Any) -> list[str]:
        async with snapshot(engine) as connection:
            return list(await connection.scalars(select(host_identity.c.host)))

    return house.run(names)


def test_an_invited_host_gets_in_and_is_known(house: House) -> None:
    """The answer carries the trust note that the join token pins; the backend has the host's keys."""
    host = _invited(house)
    answer = host.enrol(house)
    assert answer.status == 201
    trust = accept_trust(None, host.token.trust_digest, answer.json["trust"].encode())
    assert (trust.version, answer.json["host"], _identities(house)) == (1, "alpha", ["alpha"])
    assert answer.json["sources"][0]["type"] == "http"


def test_a_join_token_lets_in_once(house: House) -> None:
    """The second use is refused, audited with its reason, and changes no key."""
    host = _invited(house)
    thief = Host(host.token)
    first, second = host.enrol(house).status, thief.enrol(house)
    assert (first, second.status, second.json["detail"]) == (201, 403, enrolment.NOT_LET_IN)
    assert "used already" in _log(house, "enrolment.refused")[0]["detail"]["reason"]
    assert _key_of(house) == _text(host.identity.public_key().public_bytes_raw())


def _key_of(house: House, name: str = "alpha") -> str:
    async def key(engine: Any) -> str:
        async with snapshot(engine) as connection:
            question = select(host_identity.c.identity_key).where(host_identity.c.host == name)
            return str(await connection.scalar(question))

    return house.run(key)


def _used(house: House) -> list[int]:
    async def moments(engine: Any) -> list[int]:
        async with snapshot(engine) as connection:
            return list(await connection.scalars(select(join_token.c.used_us)))

    return house.run(moments)


def test_who_got_in_is_answered_again(house: House) -> None:
    """A host whose answer was lost asks again with the same keys: the same answer, no second use, and a line of it."""
    host = _invited(house)
    first = host.enrol(house)
    used = _used(house)
    house.later(hours=1)
    again = host.enrol(house)
    assert (201, first.json) == (again.status, again.json)
    assert (used, 1, 1) == (
        _used(house),
        len(_log(house, "host.enrolled")),
        len(_log(house, "host.enrolment_repeated")),
    )


def test_a_stolen_token_that_was_used_lets_nobody_in(house: House) -> None:
    """Another machine that found the token is refused: with keys of its own, and with one of the host's public keys."""
    host = _invited(house)
    host.enrol(house)
    thief = Host(host.token)
    stolen = {"sealing_key": host.request(house).sealing_key}
    assert [403, 403] == [thief.enrol(house).status, thief.enrol(house, **stolen).status]
    assert (2, 0) == (len(_log(house, "enrolment.refused")), len(_log(house, "host.enrolment_repeated")))
    assert _text(host.identity.public_key().public_bytes_raw()) == _key_of(house)


def test_the_same_key_needs_the_secret_and_the_time_too(house: House) -> None:
    """Keys alone do not repeat an enrolment, nor does a token that is over."""
    host = _invited(house)
    host.enrol(house)
    assert 403 == host.enrol(house, token_secret="x" * 43).status
    house.later(hours=25)
    answer = host.enrol(house)
    assert (403, True) == (answer.status, "expired" in answer.json["detail"])


def test_who_was_replaced_is_not_answered_again(house: House) -> None:
    """After another machine enrolled under the name, the first one's token and keys are worth nothing."""
    first = _invited(house)
    first.enrol(house)
    second = _invited(house)
    second.enrol(house)
    assert 403 == first.enrol(house).status
    assert _text(second.identity.public_key().public_bytes_raw()) == _key_of(house)


def test_of_many_at_once_one_gets_in(house: House) -> None:
    """Eight hosts with the same token at the same moment: the database lets in exactly one."""
    token = _invited(house).token
    hosts = [Host(token) for _ in range(8)]

    def enrol(host: Host) -> bool:
        async def alone() -> bool:
            engine = make_engine(house.settings.database_url, pooled=False)
            body, headers = host.signed(house)
            lower = {name.lower(): value for name, value in headers.items()}
            try:
                await enrolment.enrol(engine, body, PATH, lower, sources=(), now=house.time)
            except Forbidden:
                return False
            finally:
                await engine.dispose()
            return True

        return asyncio.run(alone())

    with ThreadPoolExecutor(8) as pool:
        let_in = list(pool.map(enrol, hosts))
    assert sorted(let_in) == [False] * 7 + [True]
    assert (len(_log(house, "host.enrolled")), len(_log(house, "enrolment.refused"))) == (1, 7)


def test_an_expired_token_lets_nobody_in(house: House) -> None:
    """A day later it is over, and says so: a person can do something about that."""
    host = _invited(house)
    house.later(hours=25)
    answer = host.enrol(house)
    assert answer.status == 403
    assert "expired" in answer.json["detail"]
    assert _identities(house) == []


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        ({"host": "beta"}, "is for alpha, not for beta"),
        ({"token_secret": "x" * 43}, "has another secret"),
        ({"token_id": "unknown-id-0000"}, "is not known"),
        ({"sealing_key": _text(bytes(32))}, "low order"),
        ({"identity_key": _text(b"\x01" + bytes(31))}, "small order"),
    ],
)
def test_a_forged_request_is_refused_and_audited(house: House, other: dict[str, Any], reason: str) -> None:
    """Another host's name, a guessed secret, keys that prove nothing: the answer tells nothing, the log tells all."""
    answer = _invited(house).enrol(house, **other)
    assert (answer.status, answer.json["detail"]) == (403, enrolment.NOT_LET_IN)
    assert reason in _log(house, "enrolment.refused")[0]["detail"]["reason"]
    assert _identities(house) == []


def test_a_request_that_another_key_signed_is_refused(house: House) -> None:
    """The host must hold the identity key that it names."""
    host = _invited(house)
    body, _ = host.signed(house)
    _, headers = Host(host.token).signed(house)
    assert house.ask("POST", PATH, body, role=None, **headers).status == 403
    assert _identities(house) == []


def test_a_refused_request_does_not_use_the_token_up(house: House) -> None:
    """Who guesses a token's id cannot shut the host out."""
    host = _invited(house)
    Host(host.token).enrol(house, token_secret="x" * 43)
    assert host.enrol(house).status == 201


def test_a_new_invitation_voids_the_old_one(house: House) -> None:
    """Only the newest join token of a host counts."""
    old, new = _invited(house), _invited(house)
    assert (old.enrol(house).status, new.enrol(house).status) == (403, 201)


def test_the_secret_of_a_join_token_is_not_stored(small_house: House) -> None:
    """Its hash is."""
    token = _invited(small_house).token

    async def stored(engine: Any) -> list[Any]:
        async with snapshot(engine) as connection:
            return [tuple(row) for row in await connection.execute(select(join_token))]

    assert token.secret not in repr(small_house.run(stored))


def test_a_bad_host_name_is_not_invited(small_house: House) -> None:
    """The name's grammar is checked."""
    assert small_house.ask("POST", "/v1/hosts/Bad_Name/invitation", {}).status in {400, 422}


def test_both_sides_derive_one_request_key(small_house: House) -> None:
    """What the host signs with that key is recognised as its own, and nobody else's."""
    host = _invited(small_house)
    trust = accept_trust(None, host.token.trust_digest, host.enrol(small_house).json["trust"].encode())
    backend_key = X25519PublicKey.from_public_bytes(b64decode(trust.exchange_key))
    key = shared_key(host.sealing, backend_key, "alpha")

    async def ours(engine: Any) -> bytes:
        assert small_house.backend is not None
        return await enrolment.request_key(engine, small_house.backend.trusted.keys.exchange, "alpha")

    assert small_house.run(ours) == key


def test_the_trust_note_is_public_and_signed_by_its_root_key(small_house: House) -> None:
    """Any version of it can be read and checked by anybody."""
    note = small_house.ask("GET", "/v1/trust", role=None)
    assert small_house.ask("GET", "/v1/trust/1", role=None).content == note.content
    assert small_house.ask("GET", "/v1/trust/2", role=None).status == 404
    trust = accept_trust(None, _invited(small_house).token.trust_digest, note.content)
    roots = [VerifierKey.parse(key) for key in trust.root_keys]
    assert b"towline.trust/1" in open_note(note.content, roots, trust.root_threshold)
