"""Pages as HTTP: responses, redirects, and errors that a person can read."""

from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException
from litestar.response import Redirect

from api.backend import Backend
from api.errors import Refused, TryLater, Unauthenticated
from api.pages.rendering import render
from api.principal import ANONYMOUS, Principal
from api.web.problem_details import EXCEPTION_HANDLERS

DONE = {
    "suspended": "Suspended. The host takes it up with its next document.",
    "resumed": "Resumed. The host takes it up with its next document.",
}
"""What the page says after something was done: the address names it, so that a reload does it no second time."""


def page(
    request: Request[Any, Any, Any], template: str, section: str = "", *, status: int = 200, **values: Any
) -> Response[str]:
    """One page for whoever asks."""
    backend: Backend = request.app.state.backend
    principal: Principal = request.scope["state"].get("principal", ANONYMOUS)
    done = DONE.get(request.query_params.get("done", ""), "")
    html = render(template, now=backend.now(), principal=principal, section=section, **({"done": done} | values))
    return Response(html, media_type=MediaType.HTML, status_code=status)


def see(path: str) -> Redirect:
    """Go there with GET."""
    return Redirect(path, status_code=303)


def own_path(path: str) -> str:
    """The path if it is one of ours, else the fleet: a sign-in must not send anybody elsewhere."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if plain else "/"


def wants_page(request: Request[Any, Any, Any]) -> bool:
    """Whether a browser asks for something to look at."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/v1/")


def refused(request: Request[Any, Any, Any], error: Refused) -> Response[Any]:
    """What was asked for is not done. Whoever is not signed in goes there first."""
    if not wants_page(request):
        return _plain(request, error, Refused)
    if isinstance(error, Unauthenticated) and request.method == "GET":
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return see(f"/signin?next={quote(target, safe='')}")
    detail = "; ".join([error.detail, *(problem.message for problem in error.problems)])
    return _error(request, error.status, error.title, detail)


def later(request: Request[Any, Any, Any], error: TryLater) -> Response[Any]:
    """Nothing was done."""
    if not wants_page(request):
        return _plain(request, error, TryLater)
    response = _error(request, 503, "Not now", f"{error.detail}. Load the page again in a moment.")
    response.headers["retry-after"] = str(error.retry_after_s)
    return response


def of_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """No such page, or an address that was changed by hand."""
    if not wants_page(request):
        return _plain(request, error, HTTPException)
    if error.status_code == 404:
        return _error(request, 404, "There is no such page", "It is gone, or the address is not whole.")
    title = HTTPStatus(error.status_code).phrase
    return _error(request, error.status_code, title, "The address or the form holds something that is not understood.")


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """A fault of ours."""
    answer = _plain(request, error, Exception)
    if not wants_page(request):
        return answer
    return _error(request, 500, "The backend failed", "Its log says how. Nothing that hosts do depends on this page.")


def _plain(request: Request[Any, Any, Any], error: Exception, kind: type[Exception]) -> Response[Any]:
    answer: Response[Any] = EXCEPTION_HANDLERS[kind](request, error)
    return answer


def _error(request: Request[Any, Any, Any], code: int, title: str, detail: str) -> Response[Any]:
    return page(request, "error.html", status=code, code=code, title=title, detail=detail)


PAGE_EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    Refused: refused,
    TryLater: later,
    HTTPException: of_litestar,
    Exception: unexpected,
}
"""For the app: browsers get pages, everybody else problem details."""
