"""Errors as RFC 9457 problem details, each with all problems and their JSON pointers."""

from http import HTTPStatus
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from msgspec import Struct

from api.errors import Refused, TryLater, Unauthenticated
from api.reading import pointer
from desired_state.catalogue import Problem as CatalogueProblem

MEDIA_TYPE = "application/problem+json"
_log = structlog.get_logger()


class ProblemDetails(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """RFC 9457. `problems` is ours: everything that is wrong, each with an RFC 6901 pointer into the request's body."""

    title: str
    status: int
    detail: str
    type: str = "about:blank"
    instance: str = ""
    problems: tuple[CatalogueProblem, ...] = ()


def response(details: ProblemDetails, headers: dict[str, str] | None = None) -> Response[bytes]:
    """The HTTP response for these details."""
    return Response(
        msgspec.json.encode(details), status_code=details.status, media_type=MEDIA_TYPE, headers=headers or {}
    )


def refused(request: Request[Any, Any, Any], error: Refused) -> Response[bytes]:
    """What was asked for is not done: 4xx."""
    headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, Unauthenticated) else {}
    details = ProblemDetails(
        title=error.title,
        status=error.status,
        detail=error.detail,
        instance=request.url.path,
        problems=error.problems,
    )
    return response(details, headers)


def later(request: Request[Any, Any, Any], error: TryLater) -> Response[bytes]:
    """Nothing was done; the same request may succeed later: 503."""
    details = ProblemDetails(title="Try later", status=503, detail=error.detail, instance=request.url.path)
    return response(details, {"Retry-After": str(error.retry_after_s)})


def of_litestar(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """What the framework refused: no such route, a query parameter of another type, a body that is too large."""
    status = error.status_code
    problems: tuple[CatalogueProblem, ...] = ()
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        problems = tuple(
            CatalogueProblem(
                pointer=pointer(_word(one.get("source", "query")), *str(one.get("key", "")).split(".")),
                message=str(one.get("message", "")),
            )
            for one in error.extra
            if isinstance(one, dict)
        )
    detail = "the request is not valid" if problems else error.detail
    details = ProblemDetails(
        title=HTTPStatus(status).phrase, status=status, detail=detail, instance=request.url.path, problems=problems
    )
    return response(details, error.headers)


def unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """A fault of ours: the log has it, the answer tells nothing."""
    _log.exception("request failed", method=request.method, path=request.url.path, exc_info=error)
    details = ProblemDetails(
        title="Internal error", status=500, detail="the backend failed; its log says how", instance=request.url.path
    )
    return response(details)


EXCEPTION_HANDLERS: dict[int | type[Exception], Any] = {
    Refused: refused,
    TryLater: later,
    HTTPException: of_litestar,
    Exception: unexpected,
}
"""For the app."""


def _word(source: object) -> str:
    """Litestar names a parameter's source by an enumeration or by text."""
    return str(getattr(source, "value", source))
