"""The documentation holds together."""

import tomllib
from pathlib import Path
from urllib.parse import unquote

import pytest
import yaml

from tests.docs.pages import CHECKOUT, DOCS, all_pages, anchors, links, site_pages


def _named(tree: object) -> list[str]:
    if isinstance(tree, str):
        return [tree]
    below = tree.values() if isinstance(tree, dict) else tree
    assert isinstance(below, list) or hasattr(below, "__iter__")
    return [name for part in below for name in _named(part)]


@pytest.mark.parametrize("page", all_pages(), ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each link to a file or a heading of the repository finds it; links of the site do not leave the site."""
    dead = []
    for link in links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
        elif DOCS in page.parents and DOCS not in target.parents:
            dead.append(f"{link} (leaves the site)")
    assert dead == []


def test_every_page_is_in_the_navigation() -> None:
    """mkdocs.yml names each page of docs/ once, and none that is missing."""
    navigation = yaml.safe_load((CHECKOUT / "mkdocs.yml").read_text())["nav"]
    assert sorted(_named(navigation)) == [str(page.relative_to(DOCS)) for page in site_pages()]


def test_the_changelog_knows_this_version() -> None:
    """CHANGELOG.md has a section for the version of pyproject.toml, or one for what is not released yet."""
    version = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
    headings = [line for line in (CHECKOUT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")]
    assert headings[0] == "## [Unreleased]" or headings[0].startswith(f"## [{version}]")
