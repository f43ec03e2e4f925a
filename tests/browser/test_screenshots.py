"""Pictures of the page for the documentation, taken by a test: they show what is. TOWLINE_SCREENSHOTS=1 keeps them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

FOLDER = Path(__file__).parents[2] / "docs" / "screenshots"
DESK = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}
SHOTS = (
    ("fleet", "/", DESK),
    ("host", "/hosts/app-3.ams", DESK),
    ("drift", "/hosts/cache-2.ams", DESK),
    ("service", "/services/orders", DESK),
    ("change", "/hosts/cache-1.ams/documents/2", DESK),
    ("phone", "/", PHONE),
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("shot", SHOTS, ids=[shot[0] for shot in SHOTS])
def test_screenshot(
    open_context: Callable[..., BrowserContext],
    tmp_path: Path,
    shot: tuple[str, str, dict[str, int]],
    scheme: str,
) -> None:
    """The page looks at something; what it looks like is kept where it is asked for."""
    name, path, viewport = shot
    folder = FOLDER if os.environ.get("TOWLINE_SCREENSHOTS") == "1" else tmp_path
    page = open_context(color_scheme=scheme, viewport=viewport).new_page()
    page.goto(path)
    expect(page.locator("h1")).to_be_visible()
    live = page.locator("#live")
    if page.locator("[data-live]").count():
        expect(live).to_have_text("Live")
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / f"{name}-{scheme}.png")
    assert (folder / f"{name}-{scheme}.png").stat().st_size > 10_000
