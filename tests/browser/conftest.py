"""Fixtures: one backend with the story in it, one browser; a fresh context for each test."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.browser.site import Site
from tests.fakes.fleet import PaperFleet
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
PATIENCE_MS = 60_000  # what is told by then is told; how busy the machine was is not the page's affair
SILENT = ("batch-1.fra",)
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
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


def beat(site: Site, papers: dict[str, PaperHost]) -> None:
    """All hosts but the silent one and the one that never came are heard of, however long the tests take."""
    now = datetime.now(UTC)

    async def within(engine: AsyncEngine) -> None:
        fleet = PaperFleet(engine, now)
        for index, paper in enumerate(papers.values()):
            if paper.seq and paper.name not in SILENT:
                await fleet.beat(paper.name, paper.seq, now - timedelta(seconds=3 * index + 2))

    site.run(within)


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
        beat(site, papers)
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
