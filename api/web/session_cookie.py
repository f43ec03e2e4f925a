"""The cookie that names a browser's session, and what an unsafe request must carry beside it."""

import hmac
from typing import Any
from urllib.parse import urlsplit

from litestar import Request
from litestar.connection import ASGIConnection
from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType

from api.errors import Forbidden
from api.principal import Principal
from api.services.sessions import NewSession

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "csrf"


def cookie_name(*, secure: bool) -> str:
    """`__Host-` binds the cookie to this very host over https; browsers refuse that prefix on plain http."""
    return "__Host-towline" if secure else "towline"


def session_cookie(session: NewSession, *, secure: bool) -> Cookie:
    """The cookie for a session that was just made."""
    return Cookie(
        key=cookie_name(secure=secure),
        value=session.secret,
        path="/",
        secure=secure,
        httponly=True,
        # lax: a link from a mail may lead to the page; unsafe requests need the CSRF token anyway
        samesite="lax",
        expires=None,
    )


def no_cookie(*, secure: bool) -> Cookie:
    """The cookie that ends it in the browser."""
    return Cookie(
        key=cookie_name(secure=secure), value="", path="/", secure=secure, httponly=True, samesite="lax", max_age=0
    )


def session_secret(connection: ASGIConnection[Any, Any, Any, Any], *, secure: bool) -> str:
    """The session that a browser names; empty when it names none."""
    return connection.cookies.get(cookie_name(secure=secure), "")


async def check_unsafe(request: Request[Any, Any, Any], principal: Principal) -> None:
    """Passes when a browser's unsafe request was made by our own page. Raises Forbidden.

    Two independent checks: the browser's word on where it comes from, and a token that other sites cannot read.
    """
    if request.method in SAFE_METHODS:
        return
    if not comes_from_here(request):
        raise Forbidden("this request comes from another site")
    given = request.headers.get(CSRF_HEADER, "") or await _form_field(request)
    if not hmac.compare_digest(given.encode(), principal.csrf_token.encode()):
        raise Forbidden("this request lacks the page's CSRF token; load the page again")


def comes_from_here(request: Request[Any, Any, Any]) -> bool:
    """Whether the browser says that our own page made this request (Sec-Fetch-Site, else Origin)."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host", "")


async def _form_field(request: Request[Any, Any, Any]) -> str:
    kind = request.content_type[0]
    if kind not in {RequestEncodingType.URL_ENCODED, RequestEncodingType.MULTI_PART}:
        return ""
    return str((await request.form()).get(CSRF_FIELD, ""))
