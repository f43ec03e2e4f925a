"""Where reports go: the backend, which answers after its commit."""

import msgspec

from desired_state.report import Delivery, Receipt
from puller.ports import Stalled, Unavailable
from puller.transport.http_client import Answer, shown
from puller.transport.signed_client import SignedClient, detail

MAX_RECEIPT_BYTES = 64 << 10


class BackendSink:
    """POST /v1/hosts/{name}/reports, signed."""

    def __init__(self, signed: SignedClient, *, host: str) -> None:
        self._signed = signed
        self._path = f"/v1/hosts/{host}/reports"

    async def deliver(self, delivery: Delivery) -> Receipt:
        """Sends; see ports.Sink. A report may be sent again: the backend keeps each once."""
        answer = await self._signed.post(self._path, msgspec.json.encode(delivery), max_bytes=MAX_RECEIPT_BYTES)
        asked = f"POST {shown(self._signed.address(self._path))}"
        if answer.status != 200:
            raise _refused(asked, answer)
        try:
            return msgspec.json.decode(answer.body, type=Receipt)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            # A proxy's page with status 200 is no receipt: nothing was proven durable, so nothing is forgotten.
            raise Unavailable(f"{asked}: answers 200 with something that is no receipt: {error}") from error

    async def close(self) -> None:
        """Nothing of its own: the client is closed by who made it."""


def _refused(asked: str, answer: Answer) -> Stalled:
    if answer.status == 404:
        return Stalled(
            f"{asked}: the backend does not know this host or this address (404): {detail(answer)}. Check backend_url"
        )
    if answer.status == 413:
        return Stalled(f"{asked}: the delivery is too large for the backend or a proxy (413): {detail(answer)}")
    if answer.status in (400, 422):
        return Stalled(
            f"{asked}: the backend cannot read this ({answer.status}): {detail(answer)}. Upgrade the older side"
        )
    return Stalled(f"{asked}: the backend answers {answer.status}: {detail(answer)}")
