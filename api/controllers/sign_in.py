"""Sessions over JSON: exchange an API token or a one-time link for a session, end it, ask who one is."""

import time
from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Request, Response, delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody
from msgspec import Meta, Struct

from api.backend import Backend
from api.errors import Forbidden, Unauthenticated
from api.principal import Permission, Principal, Role
from api.services import sessions
from api.services.sessions import NewSession
from api.web.session_cookie import no_cookie, session_cookie, session_secret


class SignIn(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the two: an API token, or the secret of a one-time link."""

    token: Annotated[str, Meta(max_length=200)] = ""
    link: Annotated[str, Meta(max_length=200)] = ""


class SignedIn(Struct, frozen=True, kw_only=True):
    """The session's cookie comes in a header; unsafe requests must carry the CSRF token in X-CSRF-Token."""

    actor: str
    role: Role | None
    csrf_token: str
    expires_at: datetime | None = None


async def begin(backend: Backend, request: Request[Any, Any, Any], given: SignIn) -> NewSession:
    """A session for whoever has the token or the link. Raises Unauthenticated, Forbidden, TooManyFailures."""
    # `none`: a person opened the address, as one does with a one-time link. No page can make a browser say that.
    if request.headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
        raise Forbidden("this request comes from another site")
    address = request.client.host if request.client else ""
    lasts = timedelta(hours=backend.settings.server.session_hours)
    backend.throttle.check(address, time.monotonic())
    try:
        if given.link:
            return await sessions.follow_link(backend.engine, given.link, now=backend.now(), lasts=lasts)
        return await sessions.sign_in(backend.engine, given.token, now=backend.now(), lasts=lasts)
    except Unauthenticated:
        backend.throttle.note_failure(address, time.monotonic())
        raise


@post("/v1/session", permission=Permission.PUBLIC, status_code=200)
async def sign_in(
    request: Request[Any, Any, Any], data: JSONBody[SignIn], backend: NamedDependency[Backend]
) -> Response[SignedIn]:
    """Begin a session."""
    made = await begin(backend, request, data)
    body = SignedIn(
        actor=made.principal.actor,
        role=made.principal.role,
        csrf_token=made.principal.csrf_token,
        expires_at=made.expires_at,
    )
    return Response(body, cookies=[session_cookie(made, secure=backend.secure_cookies)])


@get("/v1/session", permission=Permission.CATALOGUE_READ)
async def who_am_i(principal: NamedDependency[Principal]) -> SignedIn:
    """Who asks."""
    return SignedIn(actor=principal.actor, role=principal.role, csrf_token=principal.csrf_token)


@delete("/v1/session", permission=Permission.CATALOGUE_READ, status_code=204)
async def sign_out(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> Response[None]:
    """End the session."""
    await sessions.sign_out(backend.engine, session_secret(request, secure=backend.secure_cookies))
    return Response(None, status_code=204, cookies=[no_cookie(secure=backend.secure_cookies)])


ROUTES = (sign_in, who_am_i, sign_out)
