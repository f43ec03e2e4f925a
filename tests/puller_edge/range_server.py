"""A server of one file that knows ranges, and cuts its connections where the test says."""

from collections.abc import Callable, Iterable

from tests.puller_edge.http_server import Exchange


def file_server(content: bytes, *, cuts: Iterable[int] = (), ranges: bool = True) -> Callable[[Exchange], None]:
    """Answers any path with `content`. Each cut is how many bytes of an answer leave before the connection breaks."""

    remaining = iter(cuts)

    def respond(exchange: Exchange) -> None:
        asked = exchange.headers.get("range", "") if ranges else ""
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        if start >= len(content):
            exchange.answer(416, headers={"Content-Range": f"bytes */{len(content)}"})
            return
        headers = {"Content-Length": str(len(content) - start)}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        exchange.begin(206 if asked else 200, headers)
        cut = next(remaining, None)
        exchange.write(content[start:] if cut is None else content[start : start + cut])
        if cut is not None:
            exchange.cut()

    return respond
