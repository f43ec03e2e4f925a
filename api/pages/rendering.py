"""Templates to HTML. Everything is escaped; an unknown name in a template is an error."""

from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from api.pages.wording import FILTERS

HERE = Path(__file__).parent
STATIC = HERE / "static"
HEADERS = {
    # No inline script, no inline style, nothing from elsewhere: an escaped text that were not escaped runs nothing.
    "content-security-policy": (
        "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "cache-control": "no-store",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


class Person(Struct, frozen=True, kw_only=True):
    """Who looks at the page."""

    name: str
    role: str
    may_suspend: bool = False
    may_invite: bool = False
    may_read_events: bool = False


def render(
    template: str,
    *,
    now: datetime,
    person: Person | None = None,
    csrf_token: str = "",
    section: str = "",
    **values: Any,
) -> str:
    """One page. `section` is the entry of the navigation it belongs to."""
    page = _environment().get_template(template)
    return page.render(
        now=now,
        person=person,
        csrf_token=csrf_token,
        section=section,
        version=_version(),
        **({"done": "", "wrong": None} | values),
    )


@cache
def _version() -> str:
    try:
        return version("towline")
    except PackageNotFoundError:  # run from a checkout that was never installed
        return "from a checkout"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(FILTERS)
    environment.globals["static"] = static
    return environment


@cache
def static(name: str) -> str:
    """The address of a static file; another content has another address, so that it may be kept for ever."""
    digest = sha256((STATIC / name).read_bytes()).hexdigest()
    return f"/static/{name}?v={digest[:12]}"
