"""The page as a person meets it: live, by keyboard alone, without JavaScript, on a phone, and for everybody."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from msgspec.structs import replace
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.api.agents import ARCHIVE, package, stored
from tests.browser.site import Site
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost, config_digest

PAGES = (
    "/",
    "/hosts/app-3.ams",
    "/hosts/cache-2.ams",
    "/hosts/web-2.fra",
    "/hosts/web-3.fra",
    "/hosts/cache-1.ams/documents/2",
    "/services",
    "/services/orders",
    "/changes",
    "/changes/4",
    "/events",
    "/invite",
    "/nowhere",
)
PHONE = {"width": 360, "height": 740}


def report(site: Site, paper: PaperHost, **evidence: object) -> None:
    """Let a host report."""
    now = datetime.now(UTC).replace(microsecond=0)
    told = paper.report(now, paper.status(now, **evidence))
    site.run(lambda engine: PaperFleet(engine, now).ingest(told, seen_at=now))


def drift(site: Site, paper: PaperHost) -> None:
    """Somebody edits a configuration by hand, where the mode forbids repair."""
    name = next(iter(paper.seen))
    paper.see(name, config=config_digest(f"by hand {time.monotonic_ns()}"))
    report(site, paper, mode="audit")


def mend(site: Site, paper: PaperHost) -> None:
    """And puts it back."""
    name = next(iter(paper.seen))
    paper.seen[name] = replace(paper.seen[name], config=paper.record[name].config)
    report(site, paper)


def row_of(page: Page, host: str) -> Locator:
    """That host's row in the fleet's table."""
    return page.locator("#hosts tbody tr", has=page.get_by_role("link", name=host, exact=True))


def test_a_drifted_host_shows_without_reload(site: Site, papers: dict[str, PaperHost], page: Page) -> None:
    """The fleet says so after its report, on the page that was open all the time."""
    page.goto("/")
    expect(page.locator("#live")).to_have_text("Live")
    page.evaluate("window.__same = true")
    row = row_of(page, "web-1.ams")
    expect(row).to_contain_text("Converged")
    drift(site, papers["web-1.ams"])
    try:
        expect(row).to_contain_text("Drifted")
        expect(row).to_contain_text("edited by hand")
        assert page.evaluate("window.__same") is True
        expect(page.locator("#voice")).to_contain_text("drifted")
    finally:
        mend(site, papers["web-1.ams"])
    expect(row).to_contain_text("Converged")


def test_what_a_person_opened_stays_open(site: Site, papers: dict[str, PaperHost], page: Page) -> None:
    """The host's page follows its report, and neither closes what was opened nor takes the focus away."""
    page.goto("/hosts/web-1.fra")
    expect(page.locator("#live")).to_have_text("Live")
    summary = page.locator("#runs details summary").first
    summary.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#runs details").first).to_have_attribute("open", "")
    drift(site, papers["web-1.fra"])
    try:
        expect(page.locator("#host-head")).to_contain_text("Drifted")
        expect(page.locator("#runs details").first).to_have_attribute("open", "")
        assert "SUMMARY" == page.evaluate("document.activeElement.tagName")
    finally:
        mend(site, papers["web-1.fra"])


def test_a_form_that_is_being_filled_is_left_alone(site: Site, papers: dict[str, PaperHost], page: Page) -> None:
    """News come while somebody types a reason; what was typed stays."""
    page.goto("/hosts/app-1.ams")
    expect(page.locator("#live")).to_have_text("Live")
    page.get_by_text("Suspend", exact=True).click()
    page.get_by_label("Reason").fill("half a sen")
    drift(site, papers["app-1.ams"])
    try:
        expect(page.locator("#host-head")).to_contain_text("Drifted")
        assert "half a sen" == page.get_by_label("Reason").input_value()
    finally:
        mend(site, papers["app-1.ams"])


def _tab_to(page: Page, wanted: str, *, most: int = 80) -> None:
    """Press Tab until the focused element matches; each stop on the way must be visible."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(wanted) => document.activeElement.matches(wanted)", wanted):
            outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
            assert "none" != outline, f"{wanted} shows no focus"
            return
    pytest.fail(f"{wanted} cannot be reached by Tab")


def test_by_keyboard_alone(page: Page) -> None:
    """From the fleet to a host, suspend it with a reason, and resume it: no mouse."""
    page.goto("/")
    page.keyboard.press("Tab")
    assert "Skip to content" == page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    _tab_to(page, "a[href='/hosts/app-2.ams']")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/app-2.ams")
    _tab_to(page, "#suspend > summary")
    page.keyboard.press("Enter")
    _tab_to(page, "#reason")
    page.keyboard.type("keyboard walk")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/app-2.ams?done=suspended")
    expect(page.locator("#host-head")).to_contain_text("Suspended")
    expect(page.locator("#host-head")).to_contain_text("keyboard walk")
    _tab_to(page, "form[action$='/resume'] button")
    page.keyboard.press("Enter")
    page.wait_for_url("**/hosts/app-2.ams?done=resumed")
    expect(page.locator("#host-head")).not_to_contain_text("Suspended")


def test_slash_goes_to_the_search(page: Page) -> None:
    """And escape leaves the popover."""
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("role=cache")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?q=role%3Dcache")
    assert 3 == page.locator("#hosts tbody tr").count()


def test_nothing_is_said_on_the_console_and_no_policy_is_broken(page: Page) -> None:
    """Every page: no error, no warning, no violation of the content security policy."""
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    for path in PAGES:
        answer = page.goto(path)
        assert answer is not None
        page.wait_for_load_state("load")
        violations = page.evaluate("window.__violations")
        expected = [] if path != "/nowhere" else [one for one in said if "404" in one]
        assert ([], expected) == (violations, said), path
        said.clear()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_finding_of_axe(open_context: Callable[..., BrowserContext], scheme: str) -> None:
    """Contrast, names, roles, landmarks, order: on every page, in both themes, on a desk and on a phone."""
    found = {}
    for viewport in ({"width": 1280, "height": 900}, PHONE):
        page = open_context(color_scheme=scheme, viewport=viewport).new_page()
        for path in PAGES:
            page.goto(path)
            for one in Axe().run(page).response["violations"]:
                if one["impact"] in ("serious", "critical"):
                    found[path, viewport["width"], one["id"]] = [node["html"][:160] for node in one["nodes"]][:5]
    assert {} == found


@pytest.mark.parametrize("path", PAGES)
def test_nothing_scrolls_sideways_on_a_phone(open_context: Callable[..., BrowserContext], path: str) -> None:
    """360 pixels are enough for every page."""
    page = open_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    page.goto(path)
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true })")
    wide = page.evaluate("""() => [...document.querySelectorAll("body *")]
        .filter((one) => !one.closest("pre, thead, .hidden, .skip"))
        .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
        .map((one) => one.outerHTML.slice(0, 120)).slice(0, 5)""")
    assert ([], 360) == (wide, page.evaluate("document.documentElement.scrollWidth"))


def test_without_javascript(open_context: Callable[..., BrowserContext]) -> None:
    """Looked at, searched, suspended and resumed by plain links and forms."""
    page = open_context(java_script_enabled=False).new_page()
    page.goto("/")
    page.get_by_role("searchbox").fill("batch-1")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="batch-1.fra", exact=True).last.click()
    page.locator("#suspend > summary").click()
    page.get_by_label("Reason").fill("no script")
    page.get_by_role("button", name="Suspend batch-1.fra").click()
    expect(page.locator("#host-head")).to_contain_text("no script")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("#host-head")).to_contain_text("Stale")


def test_an_invitation_is_copied_as_it_is_shown(site: Site, open_context: Callable[..., BrowserContext]) -> None:
    """The button gives the command byte for byte, also the one for hosts that fetch nothing; both files can be had."""
    stored(site, package())
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto("/invite?host=web-3.fra")
    page.get_by_text("A mirror, a private CA, another folder").click()
    page.get_by_label("CA file on the host").fill("/etc/our ca.pem")
    page.get_by_role("button", name="Make a join command").click()
    for name in ("command", "carried"):
        if name == "carried":
            page.get_by_text("The host fetches nothing").click()
        page.locator(f'[data-copy="{name}"]').click()
        expect(page.locator(f'[data-copy="{name}"]')).to_have_text("Copied")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert page.locator(f"#{name}").inner_text() == copied
        assert "--ca-file '/etc/our ca.pem'" in copied
    links = [link.get_attribute("href") or "" for link in page.locator("#by-hand a[download]").all()]
    answers = [context.request.get(link) for link in links]
    assert [200, 200] == [answer.status for answer in answers]
    assert ARCHIVE == answers[1].body()
    assert [] == page.evaluate("window.__violations")
    assert [] == Axe().run(page).response["violations"]


def test_sign_in_and_out(open_context: Callable[..., BrowserContext], site: Site) -> None:
    """Signed out, the page leads to the form; a link that was used says so."""
    page = open_context().new_page()
    page.goto("/services")
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/signin")
    page.goto("/services")
    assert page.url.endswith("/signin?next=%2Fservices")
    page.get_by_label("Token").fill("towline-wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_text("Not signed in")).to_be_visible()
