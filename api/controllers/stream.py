"""/v1/stream: what is new, as server-sent events. A page that is open looks again when it hears of something."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
from litestar import get
from litestar.di import NamedDependency
from litestar.response import ServerSentEvent
from litestar.response.sse import ServerSentEventMessage

from api.backend import Backend
from api.feed import Feed
from api.principal import Permission

PING_S = 15.0
"""Proxies close what is silent; browsers notice a dead connection by it."""
LASTS_S = 600.0
"""Then the browser connects again, and it is asked again whether it may."""
RETRY_MS = 2000


@get("/v1/stream", permission=Permission.FLEET_READ)
async def stream(backend: NamedDependency[Backend]) -> ServerSentEvent:
    """Events named `change`; the data is a JSON list of what changed: `host/NAME`, `catalogue/`, `publication/`."""
    return ServerSentEvent(messages(backend.feed))


async def messages(feed: Feed) -> AsyncIterator[ServerSentEventMessage]:
    """The stream for one reader."""
    clock = asyncio.get_running_loop().time
    until = clock() + LASTS_S
    yield ServerSentEventMessage(comment="following", data=None, retry=RETRY_MS)
    async for news in feed.follow(idle_s=PING_S):
        if news:
            subjects = sorted({f"{row.topic}/{row.subject}" for row in news})
            yield ServerSentEventMessage(event="change", data=msgspec.json.encode(subjects), id=news[-1].id)
        else:
            yield ServerSentEventMessage(comment="still here", data=None)
        if clock() > until:
            return


ROUTES = (stream,)
