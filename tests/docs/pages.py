"""The documentation as text: pages, headings, links."""

import re
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
DOCS = CHECKOUT / "docs"
OUTSIDE = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")
"""Pages that are read in the repository and are no part of the site."""

_FENCE = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(?<!`)(`+)(?!`).+?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"!?\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*(?:\{#([\w-]+)\})?\s*$", re.MULTILINE)


def site_pages() -> list[Path]:
    """Every page of the site."""
    return sorted(DOCS.rglob("*.md"))


def all_pages() -> list[Path]:
    """Every page of the site, and those of the repository."""
    return [*site_pages(), *(CHECKOUT / name for name in OUTSIDE)]


def all_text() -> str:
    """What the site says, in one string."""
    return "\n".join(page.read_text(encoding="utf-8") for page in site_pages())


def links(page: Path) -> list[str]:
    """The targets of a page's links and pictures, without those in code."""
    return _LINK.findall(_CODE.sub("", _FENCE.sub("", page.read_text(encoding="utf-8"))))


def anchors(page: Path) -> set[str]:
    """What can stand behind # in a link to this page."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return {given or _slug(heading) for heading, given in _HEADING.findall(text)}


def _slug(heading: str) -> str:
    words = re.sub(r"[^\w\s-]", "", heading.strip().lower())
    return re.sub(r"[\s]+", "-", words).strip("-")
