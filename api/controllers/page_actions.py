"""The page: what is done on it. Each is a plain form; afterwards the browser is sent to a page to look at."""

from datetime import timedelta
from typing import Annotated, Any

from litestar import Request, Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from api.backend import Backend
from api.controllers.pages import show_host
from api.controllers.sign_in import SignIn, begin
from api.errors import Invalid, Refused, Unauthenticated
from api.pages.serving import own_path, page, see
from api.principal import Permission, Principal
from api.services import hosts, inviting, sessions
from api.services.fleet import waiting_hosts
from api.services.join_command import Way
from api.web.session_cookie import no_cookie, session_cookie, session_secret
from api.web.throttle import TooManyFailures
from desired_state.names import HostName

NOTHING_ASKED = {"host": "", "mirror": "", "ca_file": "", "prefix": ""}
"""The fields of an invitation, empty."""
LONGEST_H = 24 * 31
"""A suspension from the page ends by itself: nobody remembers one that does not."""


@post("/hosts/{name:str}/suspend", permission=Permission.HOSTS_SUSPEND)
async def suspend(
    request: Request[Any, Any, Any],
    name: FromPath[HostName],
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> Response[Any]:
    """Leave a host alone for a while."""
    form = await request.form()
    reason, hours = str(form.get("reason", "")), str(form.get("hours", ""))
    now = backend.now()
    try:
        await hosts.suspend(backend.engine, principal, name, reason=reason[:2000], until=now + _hours(hours), now=now)
    except Invalid as error:
        message = "; ".join(problem.message for problem in error.problems) or error.detail
        return await show_host(request, backend, name, wrong={"reason": reason, "message": message})
    return see(f"/hosts/{name}?done=suspended")


@post("/hosts/{name:str}/resume", permission=Permission.HOSTS_SUSPEND)
async def resume(
    name: FromPath[HostName], backend: NamedDependency[Backend], principal: NamedDependency[Principal]
) -> Response[Any]:
    """Look after a host again."""
    await hosts.resume(backend.engine, principal, name, now=backend.now())
    return see(f"/hosts/{name}?done=resumed")


@get("/invite", permission=Permission.HOSTS_INVITE)
async def invite_page(
    request: Request[Any, Any, Any],
    backend: NamedDependency[Backend],
    host: Annotated[str, QueryParameter(max_length=128)] = "",
) -> Response[str]:
    """The form."""
    return await _invite_form(request, backend, {**NOTHING_ASKED, "host": host})


@post("/invite", permission=Permission.HOSTS_INVITE)
async def invite(
    request: Request[Any, Any, Any], backend: NamedDependency[Backend], principal: NamedDependency[Principal]
) -> Response[str]:
    """Make a join token and show the command with it, this once: it stands in no address and in no history."""
    form = await request.form()
    asked = {name: str(form.get(name, "")).strip()[:1100] for name in NOTHING_ASKED}
    lasts = timedelta(hours=backend.settings.hosts.join_token_hours)
    way = Way(mirror=asked["mirror"], ca_file=asked["ca_file"], prefix=asked["prefix"])
    try:
        made = await inviting.invite(
            backend.engine, backend.inviter, principal, asked["host"], now=backend.now(), lasts=lasts, way=way
        )
    except Refused as error:
        told = (f"{problem.pointer.strip('/')} {problem.message}".strip() for problem in error.problems)
        return await _invite_form(request, backend, asked, wrong="; ".join([error.detail, *told]))
    return page(request, "invite.html", "Fleet", invitation=made, asked=asked, waiting=())


async def _invite_form(
    request: Request[Any, Any, Any], backend: Backend, asked: dict[str, str], wrong: str = ""
) -> Response[str]:
    waiting = await waiting_hosts(backend.engine)
    status = 422 if wrong else 200
    values = {"invitation": None, "asked": asked, "waiting": waiting, "wrong": wrong}
    return page(request, "invite.html", "Fleet", status=status, **values)


@get("/signin", permission=Permission.PUBLIC)
async def sign_in_page(
    request: Request[Any, Any, Any],
    backend: NamedDependency[Backend],
    token: Annotated[str, QueryParameter(max_length=200, description="The secret of a one-time link")] = "",
    following: Annotated[str, QueryParameter(name="next", max_length=2000)] = "/",
) -> Response[Any]:
    """The form; a one-time link that a person opened signs in at once.

    A link on another site only leads to a button: nobody is signed in as somebody else by looking at a page.
    """
    if token and request.headers.get("sec-fetch-site", "none") in {"none", "same-origin"}:
        return await _signed_in(request, backend, SignIn(link=token), own_path(following))
    return _sign_in_form(request, link=token, following=own_path(following))


@post("/signin", permission=Permission.PUBLIC)
async def sign_in(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> Response[Any]:
    """Exchange a token or a link for a session."""
    form = await request.form()
    given = SignIn(token=str(form.get("token", ""))[:200], link=str(form.get("link", ""))[:200])
    return await _signed_in(request, backend, given, own_path(str(form.get("next", "/"))[:2000]))


async def _signed_in(request: Request[Any, Any, Any], backend: Backend, given: SignIn, following: str) -> Response[Any]:
    try:
        made = await begin(backend, request, given)
    except (Unauthenticated, TooManyFailures) as error:
        return _sign_in_form(request, status=error.status, following=following, wrong=error.detail)
    answer = see(following)
    answer.set_cookie(session_cookie(made, secure=backend.secure_cookies))
    return answer


def _sign_in_form(
    request: Request[Any, Any, Any], *, following: str, link: str = "", status: int = 200, wrong: str = ""
) -> Response[str]:
    return page(request, "signin.html", status=status, link=link, following=following, wrong=wrong)


@post("/signout", permission=Permission.FLEET_READ)
async def sign_out(request: Request[Any, Any, Any], backend: NamedDependency[Backend]) -> Response[Any]:
    """End the session."""
    await sessions.sign_out(backend.engine, session_secret(request, secure=backend.secure_cookies))
    answer = see("/signin")
    answer.set_cookie(no_cookie(secure=backend.secure_cookies))
    return answer


def _hours(text: str) -> timedelta:
    """How long, from the form. Raises Invalid."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= LONGEST_H:
        raise Invalid(f"choose a time between one hour and {LONGEST_H // 24} days")
    return timedelta(hours=int(text))


ROUTES = (suspend, resume, invite_page, invite, sign_in_page, sign_in, sign_out)
