"""Fixtures: one backend with the story in it, one browser; a fresh context for each test."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.browser.site import Site
from tests.fakes.host import PaperHost
from tests.fakes.story import tell

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
WATCH = """
window.__violations = [];
document.addEventListener("securitypolicyviolation", (e) => {
    window.__violations.push(`${e.violatedDirective} ${e.blockedURI}`);
});
"""


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A running backend."""
    with Site(tmp_path_factory.mktemp("site")).running() as site:
        yield site


@pytest.fixture(scope="package")
def papers(site: Site) -> dict[str, PaperHost]:
    """The story's hosts, whose story a test may go on telling."""
    now = datetime.now(UTC).replace(microsecond=0)
    return site.run(lambda engine: tell(engine, now))


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    """Debian's Chromium. Not for the session: playwright's loop holds this thread for as long as it runs."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def open_context(
    chromium: Browser, site: Site, papers: dict[str, PaperHost]
) -> Iterator[Callable[..., BrowserContext]]:
    """Makes a signed-in context of one's wishes."""
    made: list[BrowserContext] = []

    def make(**wishes: Any) -> BrowserContext:
        wishes.setdefault("viewport", {"width": 1280, "height": 900})
        context = chromium.new_context(base_url=site.url, **wishes)
        context.set_default_timeout(15_000)
        context.add_init_script(WATCH)
        made.append(context)
        page = context.new_page()
        page.goto(site.link())
        page.close()
        return context

    yield make
    for context in made:
        context.close()


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A signed-in page on a desk."""
    return open_context().new_page()
