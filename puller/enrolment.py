"""A host becomes known: join token in; keys, trust file and settings out.

Whatever ends it, the same token finishes it: the keys are on disk before the request, the backend answers the same keys
again, and everything is asked and checked before the first file of another identity is replaced. The mark that says
"done with this token" is written last. Between the first and the last file the host has parts of two identities:
neither backend believes it then, it applies nothing new, and goes on running what it runs.
"""

import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import msgspec
import structlog
from msgspec import Struct

from desired_state.enrolment import MAX_BYTES, EnrolmentAnswer, EnrolmentRefused, EnrolmentRequest, JoinToken
from desired_state.request_signature import sign_request
from desired_state.trust import Trust, TrustRefused, accept_trust
from puller.adjustment import Given, adjusted, read_settings
from puller.crash_points import reached
from puller.durable_file import write_file
from puller.identity import HostKeys, store_keys
from puller.paths import Paths
from puller.pending_keys import TOKEN, PendingKeys, mark_token, read_token_id
from puller.ports import Clock, Stalled, Unavailable
from puller.settings import VARIABLE, Settings, store_settings
from puller.single_flight import SingleFlight
from puller.store import former_identity, open_store
from puller.transport.http_client import Answer, HttpClient, shown
from puller.transport.signed_client import clock_skew_s, detail
from puller.trust_file import read_trust
from puller.version import agent_version

MAX_ANSWER_BYTES = 256 << 10
TARGET = "/v1/enrolments"

_log = structlog.get_logger("towline.enrolment")


class Enrolled(Struct, frozen=True, kw_only=True):
    """What this host is from now on."""

    settings: Settings
    trust_version: int
    publishers: tuple[str, ...]
    """Verifier keys that this host believes: to be compared with `towline trust show`."""


def read_join_token(file: BinaryIO) -> JoinToken:
    """The join token in standard input or a file, never from the command line. Raises Stalled, never showing it."""
    try:
        return JoinToken.decode(file.read(MAX_BYTES + 1).decode("ascii", "replace"))
    except EnrolmentRefused as error:
        raise Stalled(str(error)) from error


async def enrol(
    token: JoinToken,
    paths: Paths,
    client: HttpClient,
    clock: Clock,
    *,
    ca_file: Path | None = None,
    metrics_dir: Path | None = None,
    source: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Enrolled:
    """Makes this an enrolled host. `ca_file`, `metrics_dir` and `source` (fields of SourceSettings) are what a
    person says of them; the rest is kept as it stands in the settings file, or comes from the backend.

    With a token that this host was enrolled with nobody is asked: what a person says is put into the settings. Raises
    Stalled when it is enrolled already with another one (and not forced), is refused, or has a puller at work;
    Unavailable when nobody could be asked.
    """
    given = Given(ca_file=ca_file, metrics_dir=metrics_dir, source=source or {})
    if is_done(token, paths):
        PendingKeys(paths.pending_keys).forget()
        return _as_it_is(token, paths, given)
    with SingleFlight(paths.lock):
        before = settings_before(token, paths, force=force)
        keys, answer = await _let_in(token, paths, client, clock)
        trust = _believed(token, answer)
        settings = adjusted(before, given, answer.sources)
        await _become(token, keys, answer.trust, settings, paths)
    _log.info("enrolled", host=token.host, backend=shown(token.backend_url), source=settings.source.type)
    return Enrolled(settings=settings, trust_version=trust.version, publishers=trust.keys)


def is_enrolled(paths: Paths) -> bool:
    """Whether an enrolment was finished here."""
    return paths.settings.exists() and paths.trust.exists() and (paths.keys / "identity").exists()


def is_done(token: JoinToken, paths: Paths) -> bool:
    """Whether this host is what that token made of it."""
    return is_enrolled(paths) and read_token_id(paths.keys) == token.id


async def _let_in(token: JoinToken, paths: Paths, client: HttpClient, clock: Clock) -> tuple[HostKeys, EnrolmentAnswer]:
    """Keys that the backend knows from now on, and what it says. They stay on disk whatever happens, unless they are
    new and were refused."""
    pending = PendingKeys(paths.pending_keys)
    asked_before = pending.are_for(token.id)
    keys = pending.keys(token.id)
    reached("after_pending_keys")
    answer = await _ask(token, keys, client, clock)
    if answer.status not in (200, 201):
        refusal = _refused(client, f"POST {shown(_url(token))}", answer, clock)
        if isinstance(refusal, Stalled) and not asked_before:
            pending.forget()
        raise refusal
    reached("after_let_in")
    return keys, _read(token, answer)


async def _become(token: JoinToken, keys: HostKeys, trust: str, settings: Settings, paths: Paths) -> None:
    """From here to the last line the same token, given again, does all of it again."""
    (paths.keys / TOKEN).unlink(missing_ok=True)
    store_keys(keys, paths.keys)
    reached("after_keys")
    write_file(paths.trust, trust.encode())
    reached("after_trust")
    if paths.database.exists():
        await _forget_former_identity(paths)
    reached("after_former_identity")
    store_settings(paths, settings)
    reached("after_settings")
    mark_token(paths.keys, token.id)
    reached("after_mark")
    PendingKeys(paths.pending_keys).forget()


async def _forget_former_identity(paths: Paths) -> None:
    store = await open_store(paths.database, lock=paths.lock)
    try:
        await store.transact(former_identity.forget)
    finally:
        await store.close()


def _as_it_is(token: JoinToken, paths: Paths, given: Given) -> Enrolled:
    before = settings_before(token, paths)
    settings, trust = adjusted(before, given), read_trust(paths.trust)
    if settings != before:
        store_settings(paths, settings)
    return Enrolled(settings=settings, trust_version=trust.version, publishers=trust.keys)


def settings_before(token: JoinToken, paths: Paths, *, force: bool = False) -> Settings:
    """What stands in the settings file: an image may bring one. Raises Stalled when this host is enrolled already."""
    goes_on = is_done(token, paths) or PendingKeys(paths.pending_keys).are_for(token.id)
    if is_enrolled(paths) and not (force or goes_on):
        settings = read_settings(paths, {})
        told = f"this host is enrolled already, as {settings.host} at {shown(settings.backend_url)}"
        raise Stalled(
            f"{told} (prefix {paths.prefix}). To make it another, with new keys: --force; "
            "to change its settings alone: towline-puller adjust"
        )
    # Who it is, an image cannot know; the token says it.
    return read_settings(paths, {f"{VARIABLE}HOST": token.host, f"{VARIABLE}BACKEND_URL": token.backend_url})


def _url(token: JoinToken) -> str:
    return token.backend_url.rstrip("/") + TARGET


async def _ask(token: JoinToken, keys: HostKeys, client: HttpClient, clock: Clock) -> Answer:
    url = _url(token)
    body = msgspec.json.encode(
        EnrolmentRequest(
            host=token.host,
            token_id=token.id,
            token_secret=token.secret,
            identity_key=keys.identity_public,
            sealing_key=keys.sealing_public,
            agent_version=agent_version(),
            at=clock.now().replace(microsecond=0),
        )
    )
    return await client.ask(
        "POST", url, max_bytes=MAX_ANSWER_BYTES, headers=_signed(url, body, token, keys, clock), body=body
    )


def _read(token: JoinToken, answer: Answer) -> EnrolmentAnswer:
    try:
        return msgspec.json.decode(answer.body, type=EnrolmentAnswer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Stalled(
            f"POST {shown(_url(token))}: the answer is none of a backend: {error}. Check the address in the join token"
        ) from error


def _signed(url: str, body: bytes, token: JoinToken, keys: HostKeys, clock: Clock) -> dict[str, str]:
    """The headers of a JSON body, with the proof that we hold the identity key that the body names."""
    signature = sign_request(
        "POST",
        urlsplit(url).path,
        body,
        keyid=token.host,
        key=keys.identity,
        alg="ed25519",
        created=int(clock.now().timestamp()),
        nonce=secrets.token_urlsafe(12),
    )
    return {"Content-Type": "application/json", **signature}


def _refused(client: HttpClient, asked: str, answer: Answer, clock: Clock) -> Stalled | Unavailable:
    if answer.status in (408, 425, 429) or answer.status >= 500:
        return client.unavailable(asked, answer)
    if answer.status in (401, 403, 409, 410):
        skew = clock_skew_s(answer, clock) or 0
        hint = f" (this host's clock differs from the backend's by {skew:+.0f} s)" if abs(skew) > 120 else ""
        return Stalled(f"{asked}: the backend refuses the join token ({answer.status}): {detail(answer)}{hint}")
    if answer.status == 404:
        return Stalled(f"{asked}: no backend answers there (404). Check the address in the join token")
    return Stalled(f"{asked}: answers {answer.status}: {detail(answer)}")


def _believed(token: JoinToken, answer: EnrolmentAnswer) -> Trust:
    """The trust file of the answer, if it is the one whose digest a person carried here."""
    if answer.host != token.host:
        raise Stalled(
            f"the backend enrolled {answer.host!r}, the join token is for {token.host!r}: nothing was changed"
        )
    try:
        return accept_trust(None, token.trust_digest, answer.trust.encode())
    except TrustRefused as error:
        raise Stalled(
            f"the backend's trust file is refused: {error}. Nothing was changed. The join token is"
            " of another backend, or somebody stands between. Invite this host again; compare with `towline trust show`"
        ) from error
