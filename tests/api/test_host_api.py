"""What hosts ask of the REST API: reports and artifacts, signed; and publishing, for people."""

import msgspec
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import snapshot, transaction
from api.models import report
from api.principal import Role
from desired_state.document import decode
from desired_state.names import digest_of
from desired_state.note import open_note
from desired_state.report import Delivery
from tests.api.house import Answer, House
from tests.api.signing import SigningHost
from tests.api.test_ingest import a_report

REPORTS = "/v1/hosts/alpha/reports"
BODY = msgspec.json.encode(Delivery(reports=(a_report(),)))


def enrolled(house: House, name: str = "alpha") -> SigningHost:
    """A host that this backend knows."""
    assert house.backend is not None
    host = SigningHost(name, name[:1].encode(), house.backend.trusted.keys.exchange.public_key())

    async def enrol(engine: AsyncEngine) -> None:
        async with transaction(engine) as connection:
            await host.enrol(connection)

    house.run(enrol)
    return host


def send(house: House, host: SigningHost, body: bytes, target: str = REPORTS) -> Answer:
    """A delivery, signed now."""
    signed = host.headers("POST", target, body, created=house.time)
    headers = {name.replace("-", "_"): value for name, value in signed.items()}
    return house.ask("POST", target, body, role=None, **headers)


def fetch(house: House, host: SigningHost, target: str, method: str = "GET", **more: str) -> Answer:
    """A download, signed now."""
    signed = host.headers(method, target, created=house.time)
    return house.ask(method, target, role=None, **{k.replace("-", "_"): v for k, v in signed.items()}, **more)


def stored(house: House) -> int:
    """How many reports there are."""

    async def count(engine: AsyncEngine) -> int:
        async with snapshot(engine) as connection:
            return await connection.scalar(select(func.count()).select_from(report)) or 0

    return house.run(count)


def test_a_signed_delivery_is_stored_and_named(house: House) -> None:
    """The receipt names the report, and it is in the database."""
    answer = send(house, enrolled(house), BODY)
    assert (answer.status, answer.json["accepted"], stored(house)) == (200, [a_report().id], 1)


def test_an_unsigned_delivery_is_refused(small_house: House) -> None:
    """Not even an administrator's token speaks for a host."""
    enrolled(small_house)
    statuses = [small_house.ask("POST", REPORTS, BODY, role=role).status for role in (None, Role.ADMIN)]
    assert (statuses, stored(small_house)) == ([401, 403], 0)


def test_a_delivery_under_another_name_is_refused(small_house: House) -> None:
    """Beta's signature on alpha's path, and alpha's report in beta's delivery."""
    beta = enrolled(small_house, "beta")
    enrolled(small_house)
    statuses = [send(small_house, beta, BODY, path).status for path in (REPORTS, "/v1/hosts/beta/reports")]
    assert (statuses, stored(small_house)) == ([403, 403], 0)


@pytest.mark.parametrize("body", [b"", b"nothing", b'{"reports": 1}', b'{"reports": [1], "more": 1}', b"[" * 100_000])
def test_what_is_no_delivery_is_refused(small_house: House, body: bytes) -> None:
    """422, and the problem says what is wrong."""
    answer = send(small_house, enrolled(small_house), body)
    assert (answer.status, "this is not a delivery" in answer.json["detail"]) == (422, True)


def published(house: House) -> Answer:
    """A catalogue with alpha in it, published."""
    house.ask("PUT", "/v1/catalogue/hosts/alpha", {"host": "alpha"}, If_None_Match="*")
    return house.ask("POST", "/v1/publish")


def test_publishing_tells_what_it_did(house: House) -> None:
    """One document; again: none."""
    first, second = published(house), house.ask("POST", "/v1/publish")
    assert [(one.status, one.json["documents"]) for one in (first, second)] == [(200, 1), (200, 0)]


def test_viewers_do_not_publish(small_house: House) -> None:
    """It needs the permission `publish`."""
    assert small_house.ask("POST", "/v1/publish", role=Role.VIEWER).status == 403


def bundle_target(house: House) -> tuple[str, int]:
    """Where the bundle of alpha's document is, and its size."""
    published(house)
    assert house.backend is not None
    backend = house.backend

    async def read(engine: AsyncEngine) -> bytes:
        from api.models import host_document  # noqa: PLC0415

        async with snapshot(engine) as connection:
            return await connection.scalar(select(host_document.c.note)) or b""

    text = open_note(house.run(read), [backend.trusted.keys.publisher.verifier], 1)
    bundle = decode(text).bundle
    return f"/v1/artifacts/sha256/{bundle.digest.removeprefix('sha256:')}", bundle.size


def test_a_host_fetches_the_bundle_that_its_document_pins(house: House) -> None:
    """The whole file, with a strong ETag and its length."""
    host = enrolled(house)
    target, size = bundle_target(house)
    answer = fetch(house, host, target)
    assert (answer.status, len(answer.content), answer.headers["etag"]) == (
        200,
        size,
        f'"sha256:{target.rpartition("/")[2]}"',
    )


def test_a_download_is_taken_up_again(small_house: House) -> None:
    """Range: 206 with exactly these bytes; both halves make the whole."""
    host = enrolled(small_house)
    target, size = bundle_target(small_house)
    whole = fetch(small_house, host, target).content
    first = fetch(small_house, host, target, Range="bytes=0-99")
    rest = fetch(small_house, host, target, Range="bytes=100-")
    assert (first.status, first.headers["content-range"], first.content + rest.content == whole) == (
        206,
        f"bytes 0-99/{size}",
        True,
    )


def test_a_range_behind_the_end_is_416(small_house: House) -> None:
    """With the size, so that the client knows that it has everything."""
    host = enrolled(small_house)
    target, size = bundle_target(small_house)
    answer = fetch(small_house, host, target, Range=f"bytes={size}-")
    assert (answer.status, answer.headers["content-range"]) == (416, f"bytes */{size}")


def test_head_tells_the_length_without_the_bytes(small_house: House) -> None:
    """HEAD: the same headers, no body."""
    host = enrolled(small_house)
    target, size = bundle_target(small_house)
    answer = fetch(small_house, host, target, "HEAD")
    assert (answer.status, answer.headers["content-length"], answer.content) == (200, str(size), b"")


def test_artifacts_are_not_for_everybody(small_house: House) -> None:
    """Without a signature or token 401; people with a token may."""
    target, _ = bundle_target(small_house)
    statuses = [small_house.ask("GET", target, role=role).status for role in (None, Role.VIEWER)]
    assert statuses == [401, 200]


@pytest.mark.parametrize("name", ["0" * 64, "nothing", "..%2f..%2fkeys%2fpublisher.key"])
def test_what_is_not_there_is_404(small_house: House, name: str) -> None:
    """An unknown digest, and what is no digest."""
    assert small_house.ask("GET", f"/v1/artifacts/sha256/{name}").status == 404


def test_the_router_answers_polls_too(house: House) -> None:
    """Where a process runs without the front: the same bytes, the same tag, 304, and for that host only."""
    published(house)
    target = "/v1/hosts/alpha/document"
    host, other = enrolled(house), enrolled(house, "beta")
    answer = fetch(house, host, target)
    again = fetch(house, host, target, If_None_Match=answer.headers["etag"])
    assert (answer.status, answer.headers["etag"]) == (200, f'"{digest_of(answer.content)}"')
    assert (again.status, again.content) == (304, b"")
    assert fetch(house, other, target).status == 403
