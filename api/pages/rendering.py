"""Templates to HTML. Everything is escaped; an unknown name in a template is an error."""

from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from api import version
from api.pages.wording import FILTERS
from api.principal import ANONYMOUS, Permission, Principal

HERE = Path(__file__).parent
STATIC = HERE / "static"


class Person(Struct, frozen=True, kw_only=True):
    """Who looks at the page."""

    name: str
    role: str
    may_suspend: bool = False
    may_invite: bool = False


def person_of(principal: Principal) -> Person | None:
    """The person behind a request; None where nobody is signed in."""
    if principal.role is None:
        return None
    return Person(
        name=principal.actor.removeprefix("token:"),
        role=principal.role.value,
        may_suspend=principal.may(Permission.HOSTS_SUSPEND),
        may_invite=principal.may(Permission.HOSTS_INVITE),
    )


def render(template: str, *, now: datetime, principal: Principal = ANONYMOUS, section: str = "", **values: Any) -> str:
    """One page. `section` is the entry of the navigation it belongs to."""
    page = _environment().get_template(template)
    return page.render(
        now=now,
        person=person_of(principal),
        csrf_token=principal.csrf_token,
        section=section,
        version=version(),
        **({"done": "", "wrong": None, "follow": ""} | values),
    )


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
