"""What is done on the page: sign in, suspend, resume, invite. Plain forms, each with its token against forgery."""

import html
import re
from datetime import timedelta
from urllib.parse import urlencode

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from api.principal import COMMAND, Role
from api.services import sessions, tokens
from desired_state.enrolment import JoinToken
from tests.api.agents import declared, package, stored, with_agentctl
from tests.api.house import House
from tests.fakes.story import tell


class Browser:
    """Keeps the session's cookie and the last page's token, as a browser does."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.cookie = ""
        self.csrf = ""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.text = ""

    def go(self, path: str, **headers: str) -> "Browser":
        """Open a page."""
        return self._ask("GET", path, None, headers)

    def send(self, path: str, form: dict[str, str], **headers: str) -> "Browser":
        """Send a form of our own page."""
        given = {"sec_fetch_site": "same-origin", "Content_Type": "application/x-www-form-urlencoded", **headers}
        return self._ask("POST", path, urlencode({"csrf": self.csrf, **form}).encode(), given)

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> "Browser":
        sent = {"accept": "text/html", "cookie": self.cookie, **headers}
        self.house.client.cookies.clear()
        answer = self.house.ask(method, path, body, role=None, **{k: v for k, v in sent.items() if v})
        self.status, self.headers, self.text = answer.status, answer.headers, answer.content.decode()
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].split(";")[0]
        found = re.search(r'name="csrf" value="(\w+)"', self.text)
        self.csrf = found.group(1) if found else self.csrf
        return self


@pytest.fixture
def told(small_house: House) -> House:
    """A backend with the story in it."""
    small_house.run(lambda engine: tell(engine, small_house.time))
    return small_house


@pytest.fixture
def operator(told: House) -> Browser:
    """A signed-in operator."""
    browser = Browser(told)
    browser.send("/signin", {"token": told.token(Role.OPERATOR), "next": "/"})
    return browser.go("/")


def test_signing_in_with_a_token_leads_to_where_one_wanted_to_go(told: House) -> None:
    """POST /signin: a session, and the page that was asked for."""
    browser = Browser(told).send("/signin", {"token": told.token(), "next": "/hosts/app-1.ams"})
    assert (303, "/hosts/app-1.ams") == (browser.status, browser.headers["location"])
    assert 200 == browser.go("/hosts/app-1.ams").status


@pytest.mark.parametrize("target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(told: House, target: str) -> None:
    """An address that is not ours is replaced by the fleet."""
    assert "/" == Browser(told).send("/signin", {"token": told.token(), "next": target}).headers["location"]


def test_a_wrong_token_is_told_on_the_form(told: House) -> None:
    """401, with the form still there."""
    browser = Browser(told).send("/signin", {"token": "towline-wrong", "next": "/"})
    assert 401 == browser.status
    assert "Not signed in" in browser.text
    assert "" == browser.cookie


def _link(house: House) -> str:
    async def make(engine: AsyncEngine) -> str:
        made = await tokens.create(engine, COMMAND, name="ops", role=Role.OPERATOR, now=house.time)
        return await sessions.create_link(engine, made.token.id, now=house.time, lasts=timedelta(hours=1))

    return house.run(make)


def test_a_one_time_link_signs_in_once(told: House) -> None:
    """The first who opens it is in; the second is told that it was used."""
    link = _link(told)
    first = Browser(told).go(f"/signin?token={link}", sec_fetch_site="none")
    assert (303, 200) == (first.status, first.go("/").status)
    second = Browser(told).go(f"/signin?token={link}", sec_fetch_site="none")
    assert 401 == second.status
    assert "used already" in second.text


def test_a_link_on_another_site_signs_nobody_in(told: House) -> None:
    """It leads to a button; nothing is used up by looking."""
    link = _link(told)
    browser = Browser(told).go(f"/signin?token={link}", sec_fetch_site="cross-site")
    assert (200, "") == (browser.status, browser.cookie)
    assert 303 == browser.send("/signin", {"link": link, "next": "/"}).status


def test_signing_out_ends_the_session(operator: Browser) -> None:
    """The cookie that was kept is worth nothing."""
    kept = operator.cookie
    assert "/signin" == operator.send("/signout", {}).headers["location"]
    operator.cookie = kept
    assert 303 == operator.go("/").status


def test_a_host_is_suspended_and_resumed(operator: Browser) -> None:
    """The page says by whom, why and until when, and the fleet counts it; then it is as before."""
    form = {"reason": "disk swap <OPS-7>", "hours": "4"}
    assert "/hosts/app-1.ams?done=suspended" == operator.send("/hosts/app-1.ams/suspend", form).headers["location"]
    shown = operator.go("/hosts/app-1.ams?done=suspended").text
    assert "disk swap &lt;OPS-7&gt;" in shown
    assert "Suspended by operator" in shown
    assert "The host takes it up with its next document" in shown
    assert "/hosts/app-1.ams?done=resumed" == operator.send("/hosts/app-1.ams/resume", {}).headers["location"]
    assert "Suspended by" not in operator.go("/hosts/app-1.ams").text


@pytest.mark.parametrize(("reason", "hours"), [(" ", "4"), ("why", "0"), ("why", "x"), ("why", "99999"), ("why", "")])
def test_a_suspension_without_reason_or_end_is_asked_again(operator: Browser, reason: str, hours: str) -> None:
    """422, the form stays open with what was typed, and nothing is stored."""
    browser = operator.send("/hosts/app-1.ams/suspend", {"reason": reason, "hours": hours})
    assert 422 == browser.status
    assert 'aria-invalid="true"' in browser.text
    assert "Suspended by" not in operator.go("/hosts/app-1.ams").text


def test_a_forged_form_does_nothing(operator: Browser) -> None:
    """Neither without the page's token nor from another site."""
    form = {"reason": "forged", "hours": "4"}
    assert 403 == operator.send("/hosts/app-1.ams/suspend", form | {"csrf": "0" * 64}).status
    assert 403 == operator.send("/hosts/app-1.ams/suspend", form, sec_fetch_site="cross-site").status
    assert "Suspended by" not in operator.go("/hosts/app-1.ams").text


def test_a_viewer_may_do_nothing(told: House) -> None:
    """403 for each action."""
    viewer = Browser(told)
    viewer.send("/signin", {"token": told.token(Role.VIEWER), "next": "/"})
    viewer.go("/")
    done = [
        viewer.send("/hosts/app-1.ams/suspend", {"reason": "x", "hours": "1"}).status,
        viewer.send("/hosts/web-2.fra/resume", {}).status,
        viewer.send("/invite", {"host": "web-3.fra"}).status,
    ]
    assert [403, 403, 403] == done


def test_an_invitation_shows_the_command_once(operator: Browser) -> None:
    """The command carries a join token for that host by standard input; no page shows it again."""
    shown = operator.send("/invite", {"host": "web-3.fra"}).text
    token = re.search(r"towline-join-1\.[A-Za-z0-9_-]+", shown)
    assert token is not None
    assert "web-3.fra" == JoinToken.decode(token.group()).host
    assert token.group() not in operator.go("/invite").text
    assert token.group() not in operator.go("/events").text


def test_an_invitation_with_an_agent_shows_how_to_carry_it(operator: Browser) -> None:
    """The command that fetches, the one for carried files, and links to both; refused paths are told."""
    stored(with_agentctl(operator.house), package())
    asked = {"host": "web-3.fra", "mirror": "https://mirror.example/x", "prefix": "/opt/t"}
    shown = html.unescape(operator.send("/invite", asked).text)
    assert 'install --token-file "$d/token" --from https://mirror.example/x --prefix /opt/t' in shown
    assert "bash agentctl.sh install --from \"$PWD\" --prefix /opt/t <<'TOWLINE'" in shown
    assert f"/v1/agent/sha256/{package().sha256}" in shown
    refused = operator.send("/invite", {**asked, "prefix": "relative"})
    assert (422, True) == (refused.status, "prefix must be an absolute path on the host" in refused.text)
    assert 'value="https://mirror.example/x"' in refused.text


def test_an_archive_that_is_not_here_is_told(small_house: House) -> None:
    """The catalogue knows it, this backend's store does not have it."""
    declared(with_agentctl(small_house), package())
    browser = Browser(small_house)
    browser.send("/signin", {"token": small_house.token(Role.OPERATOR), "next": "/"})
    shown = browser.go("/invite").send("/invite", {"host": "web-3.fra"}).text
    assert "The archive is not in this store" in shown
    assert f"/v1/agent/sha256/{package().sha256}" not in shown


def test_inviting_something_that_is_no_host_name_is_told_on_the_form(operator: Browser) -> None:
    """422, and what was typed stays."""
    browser = operator.send("/invite", {"host": "Web 3"})
    assert 422 == browser.status
    assert 'value="Web 3"' in browser.text


def test_hosts_that_wait_are_offered(operator: Browser) -> None:
    """Declared and not enrolled."""
    assert "web-3.fra" in operator.go("/invite").text
