"""Nobody unknown gets in, and everybody does what the role says."""

import re

import pytest
from litestar import get
from litestar.exceptions import ImproperlyConfiguredException

from api.app import create_app
from api.principal import PERMISSIONS_OF, Permission, Role
from api.settings import Settings
from api.web.session_cookie import CSRF_HEADER
from tests.api.house import Answer, House

SAME_SITE = {"Sec-Fetch-Site": "same-origin"}

OWN_DOORS = {"/v1/session", "/v1/enrolments", "/signin", "/signout", "/metrics"}
"""Public routes that find out by themselves who asks, and refuse."""


def _routes(house: House) -> list[tuple[str, str, Permission]]:
    """Method, path and permission of every route, path parameters filled in."""
    found = []
    for route in house.app.routes:
        for handler in getattr(route, "route_handlers", []):
            path = re.sub(r"\{[a-z_]+:int\}", "1", re.sub(r"\{[a-z_]+:(str|path)\}", "x", route.path))
            methods = [method for method in handler.http_methods if method not in {"OPTIONS", "HEAD"}]
            found += [(method, path, handler.opt["permission"]) for method in methods]
    return found


def test_the_matrix_of_routes_and_roles(small_house: House) -> None:
    """Each role reaches exactly the routes whose permission it has; nobody reaches only the public ones."""
    wrong = []
    assert small_house.backend is not None
    small_house.backend.closing.set()  # so that the stream ends by itself
    for method, path, permission in _routes(small_house):
        for role in (None, *Role):
            answer = small_house.ask(method, path, {} if method in {"PUT", "POST"} else None, role=role)
            may = permission in (PERMISSIONS_OF[role] if role else {Permission.PUBLIC})
            if path not in OWN_DOORS and (answer.status in {401, 403}) == may:
                wrong.append((method, path, role, answer))
    assert wrong == []


def test_an_app_with_an_open_route_is_not_made() -> None:
    """A route that declares no permission fails at the start, by name."""

    @get("/v1/secrets")
    async def forgotten() -> str:
        return "all of them"

    with pytest.raises(ImproperlyConfiguredException, match=r"GET /v1/secrets"):
        create_app(Settings(), routes=[forgotten])


def test_a_permission_that_is_no_permission_is_not_enough() -> None:
    """A typing error does not open a route."""

    @get("/v1/secrets", permission="pubic")
    async def mistyped() -> str:
        return "all of them"

    with pytest.raises(ImproperlyConfiguredException, match=r"GET /v1/secrets"):
        create_app(Settings(), routes=[mistyped])


def test_a_token_ends_when_it_is_revoked(house: House) -> None:
    """DELETE /v1/tokens/{id}: the next request is refused."""
    made = house.ask("POST", "/v1/tokens", {"name": "ci", "role": "viewer"}).json
    bearer = {"Authorization": f"Bearer {made['secret']}"}
    before = house.ask("GET", "/v1/catalogue/hosts", role=None, **bearer).status
    assert house.ask("DELETE", f"/v1/tokens/{made['token']['id']}").status == 204
    assert (before, house.ask("GET", "/v1/catalogue/hosts", role=None, **bearer).status) == (200, 401)


def test_a_token_ends_when_its_time_is_over(house: House) -> None:
    """Expiry is looked at on each request."""
    body = {"name": "ci", "role": "viewer", "expires_at": "2026-11-23T13:00:00Z"}
    bearer = {"Authorization": f"Bearer {house.ask('POST', '/v1/tokens', body).json['secret']}"}
    before = house.ask("GET", "/v1/catalogue/hosts", role=None, **bearer).status
    house.later(hours=1)
    assert (before, house.ask("GET", "/v1/catalogue/hosts", role=None, **bearer).status) == (200, 401)


def test_scopes_narrow_the_role(small_house: House) -> None:
    """A token for one thing does only that; a scope beyond the role is refused."""
    body = {"name": "scrape", "role": "viewer", "scopes": ["metrics:read"]}
    bearer = {"Authorization": f"Bearer {small_house.ask('POST', '/v1/tokens', body).json['secret']}"}
    assert small_house.ask("GET", "/v1/catalogue/hosts", role=None, **bearer).status == 403
    beyond = small_house.ask("POST", "/v1/tokens", {**body, "scopes": ["metrics:read", "tokens:manage"]})
    assert (beyond.status, [pointer for pointer, _ in beyond.problems]) == (422, ["/scopes/1"])


def test_secrets_are_not_in_the_database(small_house: House) -> None:
    """Neither a token's nor a session's secret is anywhere in the database's files."""
    secret = small_house.token()
    session = _sign_in(small_house).headers["set-cookie"].split(";")[0].split("=")[1]
    files = list(small_house.settings.state_folder.parent.glob("towline.db*"))
    stored = b"".join(file.read_bytes() for file in files)
    assert files
    assert [s for s in (secret, secret.removeprefix("towline-"), session) if s.encode() in stored] == []


@pytest.mark.parametrize("header", ["Bearer nonsense", "Bearer ", "Basic YTpi", "nonsense"])
def test_wrong_credentials_are_refused_even_where_none_are_needed(small_house: House, header: str) -> None:
    """What is offered and wrong is never taken for nobody."""
    statuses = [
        small_house.ask("GET", path, role=None, Authorization=header).status for path in ("/v1/trust", "/v1/events")
    ]
    assert statuses == [401, 401]


def _sign_in(house: House, **headers: str) -> Answer:
    return house.ask("POST", "/v1/session", {"token": house.token()}, role=None, **headers)


def _session(house: House) -> tuple[dict[str, str], str]:
    """A browser's cookie and the CSRF token of its page."""
    answer = _sign_in(house)
    house.client.cookies.clear()
    return {"Cookie": answer.headers["set-cookie"].split(";")[0]}, answer.json["csrf_token"]


def test_a_session_reads_without_more(house: House) -> None:
    """The cookie is enough for GET."""
    cookie, _ = _session(house)
    assert house.ask("GET", "/v1/catalogue/hosts", role=None, **cookie).status == 200


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(small_house: House) -> None:
    """HttpOnly and SameSite; over https also Secure and bound to the host."""
    cookie = _sign_in(small_house).headers["set-cookie"].lower()
    assert {"httponly", "samesite=lax", "path=/"} <= {part.strip() for part in cookie.split(";")}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"token": "yes"}, 201),
        ({"token": "yes", "Sec-Fetch-Site": "same-origin"}, 201),
        ({"token": "yes", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"token": "yes", "Sec-Fetch-Site": "same-site"}, 403),
        ({"token": "yes", "Sec-Fetch-Site": "none"}, 403),
        ({"token": "yes", "Origin": "https://evil.example"}, 403),
        ({"token": "yes", "Origin": "http://testserver.local"}, 201),
    ],
)
def test_an_unsafe_request_of_a_session_must_come_from_our_page(
    small_house: House, headers: dict[str, str], status: int
) -> None:
    """CSRF token and Sec-Fetch-Site (or Origin), both."""
    cookie, csrf = _session(small_house)
    sent = {name: value for name, value in headers.items() if name != "token"}
    if "token" in headers:
        sent[CSRF_HEADER] = csrf
    body = {"host": "h1"}
    answer = small_house.ask("PUT", "/v1/catalogue/hosts/h1", body, role=None, **cookie, **sent)
    assert answer.status == status


def test_the_csrf_token_of_another_session_does_not_count(small_house: House) -> None:
    """It is bound to the session."""
    _, foreign = _session(small_house)
    cookie, _ = _session(small_house)
    headers = {**cookie, **SAME_SITE, CSRF_HEADER: foreign}
    assert small_house.ask("PUT", "/v1/catalogue/hosts/h1", {"host": "h1"}, role=None, **headers).status == 403


def test_a_session_ends(house: House) -> None:
    """By signing out, by its time, and with its token."""
    cookie, csrf = _session(house)
    gone = house.ask("DELETE", "/v1/session", role=None, **cookie, **SAME_SITE, **{CSRF_HEADER: csrf}).status
    after = house.ask("GET", "/v1/events", role=None, **cookie).status
    old, _ = _session(house)
    house.later(hours=13)
    assert (gone, after, house.ask("GET", "/v1/events", role=None, **old).status) == (204, 401, 401)


def test_failed_sign_ins_are_audited_and_slowed_down(small_house: House) -> None:
    """Ten failures from one address, then 429; the log has a line for each."""
    statuses = [small_house.ask("POST", "/v1/session", {"token": f"guess-{n}"}, role=None).status for n in range(11)]
    lines = small_house.ask("GET", "/v1/events?subject=session").json["items"]
    assert statuses == [401] * 10 + [429]
    assert [line["action"] for line in lines] == ["session.refused"] * 10


def test_every_answer_carries_the_security_headers(small_house: House) -> None:
    """Errors too."""
    for path in ("/healthz", "/nowhere", "/v1/events"):
        headers = small_house.ask("GET", path, role=None).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_the_api_describes_itself(small_house: House) -> None:
    """OpenAPI names the paths; only for who may read."""
    found = small_house.ask("GET", "/schema/openapi.json", role=Role.VIEWER)
    assert "/v1/catalogue/services/{name}" in found.json["paths"]
    assert small_house.ask("GET", "/schema/openapi.json", role=None).status == 401
