"""Documents from the backend over HTTP: a signed, conditional GET."""

from puller.ports import Fetched, Stalled, Unchanged
from puller.sources.published_tree import MAX_SOURCE_BYTES
from puller.transport.http_client import Answer, shown
from puller.transport.signed_client import SignedClient, detail


class HttpSource:
    """GET /v1/hosts/{name}/document."""

    def __init__(self, signed: SignedClient, *, host: str) -> None:
        self._signed = signed
        self._path = f"/v1/hosts/{host}/document"

    async def fetch(self, tag: str) -> Fetched | Unchanged:
        """See ports.Source; the tag is the ETag."""
        url = self._signed.address(self._path)
        headers = {"Accept": "text/plain"} | ({"If-None-Match": tag} if tag else {})
        answer = await self._signed.get(self._path, max_bytes=MAX_SOURCE_BYTES, headers=headers)
        if answer.status == 304 and tag:
            return Unchanged()
        if answer.status == 404 and _is_from_backend(answer):
            return Fetched(data=None, origin=shown(url))
        if answer.status != 200:
            raise Stalled(f"GET {shown(url)}: answers {answer.status}: {detail(answer)}")
        return Fetched(data=answer.body, tag=answer.headers.get("etag", ""), origin=shown(url))

    async def fetch_trust(self, version: int) -> bytes | None:
        """See ports.Source."""
        url = self._signed.address(f"/v1/trust/{version}")
        # Without a signature: it is public, and its next version may be why ours is refused.
        answer = await self._signed.http.ask("GET", url, max_bytes=MAX_SOURCE_BYTES)
        self._signed.refuse(answer, f"GET {shown(url)}")
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise Stalled(f"GET {shown(url)}: answers {answer.status}: {detail(answer)}")
        return answer.body

    async def close(self) -> None:
        """Nothing of its own: the client is closed by who made it."""


def _is_from_backend(answer: Answer) -> bool:
    """Whether the backend itself says 'no document', in problem details, and not a proxy or another site on the way."""
    return answer.headers.get("content-type", "").partition(";")[0].strip() == "application/problem+json"
