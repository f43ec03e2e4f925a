"""/static: styles, icons and the script of the page. Their addresses carry a digest, so browsers may keep them."""

from functools import cache

from litestar import Response, get
from litestar.params import FromPath

from api.errors import NotFound
from api.pages.rendering import STATIC
from api.principal import Permission

MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER = {"cache-control": "public, max-age=31536000, immutable"}


@get("/static/{name:str}", permission=Permission.PUBLIC, sync_to_thread=False)
def static(name: FromPath[str]) -> Response[bytes]:
    """One file."""
    found = _files().get(name)
    if found is None:
        raise NotFound(f"there is no file {name}")
    body, media_type = found
    return Response(body, media_type=media_type, headers=FOR_EVER)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """All of them: few and small, and no path from a request ever reaches the disk."""
    return {
        path.name: (path.read_bytes(), MEDIA_TYPES[path.suffix])
        for path in STATIC.iterdir()
        if path.suffix in MEDIA_TYPES
    }


ROUTES = (static,)
