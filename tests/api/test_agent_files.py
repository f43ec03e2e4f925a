"""/v1/agent: what a host fetches before it is known; this and nothing else, by anybody."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from api.database import snapshot
from api.errors import TryLater
from api.repositories import agents as questions
from api.services.sweeping import sweep
from api.settings import SweepSettings
from api.web.downloads import Downloads
from desired_state.joined_script import joined
from desired_state.names import digest_of
from tests.api.agents import ARCHIVE, WITH_AGENT, declared, hex_of, package, stored, with_agentctl
from tests.api.house import Answer, House

SCRIPT = joined("agentctl.sh", WITH_AGENT)


@pytest.fixture
def offering(house: House) -> House:
    """A backend that ships the script, and holds an archive of the agent."""
    stored(with_agentctl(house), package())
    return house


def fetch(house: House, digest: str, method: str = "GET", **headers: str) -> Answer:
    """The file of that digest, asked for by nobody in particular."""
    return house.ask(method, f"/v1/agent/sha256/{hex_of(digest)}", role=None, **headers)


def invited(house: House, name: str = "alpha") -> dict[str, Any]:
    """The answer to an invitation."""
    answer = house.ask("POST", f"/v1/hosts/{name}/invitation", {})
    assert answer.status == 201, answer
    found: dict[str, Any] = answer.json
    return found


def test_anybody_may_have_the_agent(offering: House) -> None:
    """The joined script of an invitation and the archive come without a token, under their own names."""
    agent = invited(offering)["agent"]
    script, archive = fetch(offering, agent["agentctl_digest"]), fetch(offering, agent["digest"])
    assert [(200, SCRIPT), (200, ARCHIVE)] == [(one.status, one.content) for one in (script, archive)]
    names = [one.headers["content-disposition"] for one in (script, archive)]
    assert ['attachment; filename="agentctl.sh"', f'attachment; filename="{package().file}"'] == names


def test_a_package_that_is_only_declared_and_stored_is_offered(house: House) -> None:
    """The catalogue says that it is the agent; the bytes may have come by another name."""
    declared(with_agentctl(house), package())
    stored(house, package(name="something-else"))
    assert (200, ARCHIVE) == ((found := fetch(house, package().digest)).status, found.content)


def test_nothing_else_is_offered(offering: House) -> None:
    """Other packages, bundles, agents whose bytes are elsewhere, and what is no digest are all the same 404."""
    other = stored(offering, package(name="valkey", data=b"valkey"), b"valkey")
    near = stored(offering, package(name="towline-agent-x", data=b"near"), b"near")
    elsewhere = declared(offering, package("9", data=b"elsewhere"))
    asked = [other.digest, near.digest, elsewhere.digest, digest_of(b""), digest_of(SCRIPT), "x", "sha256:" + "A" * 64]
    assert [404] * 7 == [fetch(offering, digest).status for digest in asked]


def test_no_path_leads_out_of_the_store(offering: House) -> None:
    """Names of files are no digests."""
    paths = ["../../keys/publisher.key", "..%2f..%2fkeys%2fpublisher.key", "%2e%2e/x", "\0"]
    statuses = [offering.ask("GET", f"/v1/agent/sha256/{path}", role=None).status for path in paths[:3]]
    assert [404] * 3 == statuses


def test_a_part_of_it_can_be_taken_up_again(offering: House) -> None:
    """Range gives the bytes that are missing, of the script as of the archive; a wrong range is told the size."""
    agent = invited(offering)["agent"]
    for digest, whole in ((agent["digest"], ARCHIVE), (agent["agentctl_digest"], SCRIPT)):
        part = fetch(offering, digest, Range="bytes=10-19")
        rest = fetch(offering, digest, Range="bytes=100-", If_Range=f'"{digest}"')
        past = fetch(offering, digest, Range=f"bytes={len(whole)}-")
        assert (206, whole[10:20], f"bytes 10-19/{len(whole)}") == (
            part.status,
            part.content,
            part.headers["content-range"],
        )
        assert ((206, whole[100:]), (416, f"bytes */{len(whole)}")) == (
            (rest.status, rest.content),
            (past.status, past.headers["content-range"]),
        )


def test_what_a_cache_has_is_not_sent_again(offering: House) -> None:
    """ETag and 304; a cache between us and the hosts may keep it for ever, because the name is the digest."""
    digest = invited(offering)["agent"]["digest"]
    first = fetch(offering, digest)
    again = fetch(offering, digest, If_None_Match=first.headers["etag"])
    assert (304, b"", "public, max-age=31536000, immutable") == (
        again.status,
        again.content,
        first.headers["cache-control"],
    )


def test_head_tells_the_size(offering: House) -> None:
    """And sends nothing."""
    found = fetch(offering, package().digest, "HEAD")
    assert (200, b"", str(len(ARCHIVE))) == (found.status, found.content, found.headers["content-length"])


def test_the_script_of_an_older_backend_is_kept_while_a_token_names_it(offering: House) -> None:
    """After an upgrade of the backend both scripts are served; a sweep drops the old one once its tokens are over."""
    old = invited(offering)["agent"]["agentctl_digest"]
    offering.later(hours=20)
    assert offering.backend is not None
    offering.backend.shipped = {**WITH_AGENT, "agent/say.sh": WITH_AGENT["agent/say.sh"] + b"# newer\n"}
    del offering.backend.inviter
    new = invited(offering, "beta")["agent"]["agentctl_digest"]
    offering.run(lambda engine: sweep(engine, SweepSettings(), offering.time))
    both = [fetch(offering, digest).status for digest in (old, new)]
    offering.later(days=7, hours=5)
    offering.run(lambda engine: sweep(engine, SweepSettings(), offering.time))
    assert ([200, 200], [404, 200]) == (both, [fetch(offering, digest).status for digest in (old, new)])


def test_a_longer_invitation_keeps_the_script_longer(offering: House) -> None:
    """A short one after it takes nothing away."""
    for hours in (48, 1):
        offering.ask("POST", "/v1/hosts/alpha/invitation", {"hours": hours})

    async def rows(engine: Any) -> list[int]:
        async with snapshot(engine) as connection:
            table = questions.agent_script
            return list(await connection.scalars(table.select().with_only_columns(table.c.expires_us)))

    expected = int(offering.time.timestamp() + 48 * 3600) * 1_000_000
    assert [expected] == offering.run(rows)


async def _chunks() -> AsyncGenerator[bytes, None]:
    for chunk in (b"a", b"b"):
        yield chunk


async def _rest(chunks: Any) -> list[bytes]:
    return [chunk async for chunk in chunks]


def test_downloads_are_bounded() -> None:
    """While as many run as may, the next is told to come later; one that ends or breaks off makes room."""
    one = Downloads(most=1)

    async def download() -> list[bytes]:
        running = one.counted(_chunks())
        await anext(running)
        with pytest.raises(TryLater):
            one.check()
        await running.aclose()
        one.check()
        return await _rest(one.counted(_chunks()))

    assert [b"a", b"b"] == asyncio.run(download())
    one.check()


def test_a_busy_backend_says_when_to_come_again(offering: House) -> None:
    """503 with Retry-After, which curl obeys."""
    assert offering.backend is not None
    offering.backend.downloads = Downloads(most=0)
    found = fetch(offering, package().digest)
    assert (503, "10") == (found.status, found.headers["retry-after"])
