"""How request bodies are read: strictly, all problems at once. Handlers that declare `JSONBody[T]` get a T."""

from typing import Any

from litestar import Request

from api.errors import Invalid
from api.reading import Unreadable, read_json

MAX_BODY_BYTES = 4 << 20


class StrictRequest(Request[Any, Any, Any]):
    """Litestar would convert `"1"` to 1, take a key that stands twice, and stop at the first problem."""

    async def json(self) -> Any:
        """The body as the handler's own type. Raises Invalid."""
        field = self.route_handler.parsed_data_field
        kind = Any if field is None else field.annotation
        try:
            return read_json(await self.body(), kind, max_bytes=MAX_BODY_BYTES)
        except Unreadable as error:
            raise Invalid("the request's body is not valid", error.problems) from error
