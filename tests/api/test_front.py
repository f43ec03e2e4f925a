"""The poll path: who asks, what is unchanged, and that memory never answers for longer than its bound."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import make_engine, migrate, transaction
from api.front import FRESH_S, Front
from api.models import generation, host_document, host_identity
from desired_state.names import digest_of
from tests.api.signing import BACKEND_KEY, NOW, SigningHost

ALPHA = SigningHost("alpha")
TARGET = "/v1/hosts/alpha/document"


class Answer(msgspec.Struct):
    """What a request got."""

    status: int
    headers: dict[str, str]
    body: bytes


class Backend:
    """A front on a fresh database, with clocks that a test sets."""

    def __init__(self, engine: AsyncEngine) -> None:
        self.engine = engine
        self.now = NOW
        self.elapsed = 0.0
        self.front = self.replica()

    def replica(self) -> Front:
        """Another process on the same database."""

        async def router(scope: Any, receive: Any, send: Any) -> None:
            await send({"type": "http.response.start", "status": 299, "headers": []})
            await send({"type": "http.response.body", "body": b"router"})

        return Front(
            router,
            lambda: self.engine,
            lambda: BACKEND_KEY,
            now=lambda: self.now.timestamp(),  # noqa: PLW0108 - the test moves it
            monotonic=lambda: 1000 + self.elapsed,
        )

    async def publish(self, host: str, note: bytes) -> None:
        """Make this the document of the host."""
        row = {
            "host": host,
            "revision": 1,
            "epoch": 1,
            "digest": digest_of(note),
            "content_digest": digest_of(note),
            "note": note,
            "issued_at_us": 1,
            "expires_at_us": 2,
        }
        async with transaction(self.engine) as connection:
            await connection.execute(delete(host_document).where(host_document.c.host == host))
            await connection.execute(insert(host_document).values(**row))
            await connection.execute(update(generation).values(number=generation.c.number + 1))

    async def get(
        self, target: str = TARGET, headers: dict[str, str] | None = None, front: Front | None = None
    ) -> Answer:
        """What GET answers."""
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        path, _, query = target.partition("?")
        pairs = [(k.lower().encode(), v.encode()) for k, v in (headers or {}).items()]
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": pairs,
        }
        await (front or self.front)(scope, receive, send)
        return Answer(
            status=sent[0]["status"],
            headers={k.decode(): v.decode() for k, v in sent[0]["headers"]},
            body=sent[1]["body"],
        )


def on_a_backend(url: str, work: Callable[[Backend], Awaitable[Any]]) -> Any:
    """Run this with a migrated database, alpha enrolled and its document published."""

    async def run() -> Any:
        engine = make_engine(url, pooled=False)
        try:
            await migrate(engine)
            backend = Backend(engine)
            async with transaction(engine) as connection:
                await ALPHA.enrol(connection)
            await backend.publish("alpha", b"one\n")
            return await work(backend)
        finally:
            await engine.dispose()

    return asyncio.run(run())


def signed(**more: str) -> dict[str, str]:
    """Headers of alpha's poll."""
    return {**ALPHA.headers("GET", TARGET), **more}


def test_a_host_gets_the_exact_bytes(database_url: str) -> None:
    """200, the note as it was published, a strong ETag of its digest, never to be kept unasked."""
    answer = on_a_backend(database_url, lambda backend: backend.get(headers=signed()))
    assert answer == Answer(
        status=200,
        headers={
            "content-type": "text/plain; charset=utf-8",
            "etag": f'"{digest_of(b"one" + bytes([10]))}"',
            "cache-control": "no-cache",
        },
        body=b"one\n",
    )


def test_an_unchanged_document_is_304(database_url: str) -> None:
    """With the ETag shown there is nothing to send, whether the tag stands alone, weak, in a list, or as any."""
    tag = f'"{digest_of(b"one" + bytes([10]))}"'

    async def ask(backend: Backend) -> list[tuple[int, bytes]]:
        tags = (tag, f"W/{tag}", f'"other", {tag}', "*")
        answers = [await backend.get(headers=signed(**{"If-None-Match": one})) for one in tags]
        return [(answer.status, answer.body) for answer in answers]

    assert on_a_backend(database_url, ask) == [(304, b"")] * 4


def test_another_tag_gets_the_document(database_url: str) -> None:
    """A tag that is not the current one is no reason to keep quiet."""
    answer = on_a_backend(database_url, lambda b: b.get(headers=signed(**{"If-None-Match": '"sha256:00"'})))
    assert (answer.status, answer.body) == (200, b"one\n")


def test_nobody_unsigned_is_answered(database_url: str) -> None:
    """Without a signature: 401 and a problem that says so."""
    answer = on_a_backend(database_url, lambda backend: backend.get())
    assert (answer.status, answer.headers["content-type"]) == (401, "application/problem+json")


def test_another_host_is_not_answered(database_url: str) -> None:
    """Beta's good signature opens nothing of alpha's."""
    beta = SigningHost("beta", b"c")

    async def ask(backend: Backend) -> int:
        async with transaction(backend.engine) as connection:
            await beta.enrol(connection)
        return (await backend.get(headers=beta.headers("GET", TARGET))).status

    assert on_a_backend(database_url, ask) == 401


def test_a_stolen_name_is_not_answered(database_url: str) -> None:
    """Alpha's name over another key is nobody."""
    thief = SigningHost("alpha", b"t")
    answer = on_a_backend(database_url, lambda backend: backend.get(headers=thief.headers("GET", TARGET)))
    assert answer.status == 401


def test_a_signature_for_something_else_is_not_accepted(database_url: str) -> None:
    """Alpha signed another path: that says nothing about this one."""
    answer = on_a_backend(database_url, lambda b: b.get(headers=ALPHA.headers("GET", "/v1/hosts/alpha/else")))
    assert answer.status == 401


def test_a_signature_can_be_used_again_for_a_while(database_url: str) -> None:
    """A host polls with one signature for five minutes; then it must sign anew."""

    async def ask(backend: Backend) -> list[int]:
        headers = signed()
        statuses = []
        for seconds in (0, 1, 299, 301):
            backend.now = NOW + timedelta(seconds=seconds)
            statuses.append((await backend.get(headers=headers)).status)
        return statuses

    assert on_a_backend(database_url, ask) == [200, 200, 200, 401]


def test_a_checked_signature_is_nothing_without_what_it_covers(database_url: str) -> None:
    """A signature that was accepted once is not accepted under an altered Signature-Input."""

    async def ask(backend: Backend) -> int:
        headers = signed()
        await backend.get(headers=headers)
        headers["Signature-Input"] = headers["Signature-Input"].replace("nonce", "nonce ")
        return (await backend.get(headers=headers)).status

    assert on_a_backend(database_url, ask) == 401


def test_a_publication_of_another_replica_is_seen(database_url: str) -> None:
    """Two fronts on one database: what one did not publish is answered by it within the bound."""

    async def ask(backend: Backend) -> list[bytes]:
        other = backend.replica()
        before = await backend.get(headers=signed(), front=other)
        await backend.publish("alpha", b"two\n")
        backend.elapsed += FRESH_S
        tag = before.headers["etag"]
        after = await backend.get(headers=signed(**{"If-None-Match": tag}), front=other)
        return [before.body, after.body]

    assert on_a_backend(database_url, ask) == [b"one\n", b"two\n"]


def test_a_host_that_lost_its_place_is_out(database_url: str) -> None:
    """An identity that was removed polls no more, even with a signature that was accepted before."""

    async def ask(backend: Backend) -> list[int]:
        headers = signed()
        before = await backend.get(headers=headers)
        async with transaction(backend.engine) as connection:
            await connection.execute(delete(host_identity))
        backend.elapsed += FRESH_S
        return [before.status, (await backend.get(headers=headers)).status]

    assert on_a_backend(database_url, ask) == [200, 401]


def test_a_host_that_enrolled_anew_is_known_by_its_new_key_only(database_url: str) -> None:
    """After a change of keys the old key's signature is refused, and the new one accepted."""

    async def ask(backend: Backend) -> list[int]:
        old, new = signed(), SigningHost("alpha", b"n")
        await backend.get(headers=old)
        async with transaction(backend.engine) as connection:
            await connection.execute(delete(host_identity))
            await new.enrol(connection, NOW + timedelta(seconds=1))
        backend.elapsed += FRESH_S
        renewed = new.headers("GET", TARGET)
        return [(await backend.get(headers=headers)).status for headers in (old, renewed)]

    assert on_a_backend(database_url, ask) == [401, 200]


def test_a_host_without_a_document_is_told(database_url: str) -> None:
    """Enrolled, but nothing published: 404, and the problem names the host."""
    beta = SigningHost("beta", b"c")

    async def ask(backend: Backend) -> Answer:
        async with transaction(backend.engine) as connection:
            await beta.enrol(connection)
        return await backend.get("/v1/hosts/beta/document", beta.headers("GET", "/v1/hosts/beta/document"))

    answer = on_a_backend(database_url, ask)
    assert (answer.status, msgspec.json.decode(answer.body)["detail"]) == (404, "nothing is published for beta")


def test_everything_else_goes_to_the_router(database_url: str) -> None:
    """Only the one path is answered here."""

    async def ask(backend: Backend) -> list[int]:
        return [(await backend.get(path)).status for path in ("/v1/hosts/alpha", "/v1/hosts/a/b/document", "/")]

    assert on_a_backend(database_url, ask) == [299, 299, 299]


def test_a_database_that_is_away_is_503(database_url: str) -> None:
    """Memory does not answer for a database that cannot be asked: 503 with Retry-After."""

    async def ask(backend: Backend) -> list[object]:
        headers = signed()
        await backend.get(headers=headers)
        backend.engine = make_engine("mysql://nobody@127.0.0.1:1/none", pooled=False)
        backend.elapsed += FRESH_S
        answer = await backend.get(headers=headers)
        return [answer.status, "retry-after" in answer.headers]

    assert on_a_backend(database_url, ask) == [503, True]
