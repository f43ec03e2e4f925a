"""/v1/secrets: written, listed by name and version, never read back."""

from typing import Annotated, Any

from litestar import Request, delete, get, put
from litestar.di import NamedDependency
from litestar.params import QueryParameter
from msgspec import Struct

from api.backend import Backend
from api.controllers.bounds import PathName
from api.principal import Permission, Principal
from api.services import secrets
from api.services.secrets import MAX_NOTE, SetSecret, ShownSecret
from api.vault import Vault

MAX_BYTES = 64 << 10
"""More than any secret: what is longer than one is told so."""


class Secrets(Struct, frozen=True, kw_only=True):
    """All secrets, without values."""

    items: tuple[ShownSecret, ...]


@get("/v1/secrets", permission=Permission.CATALOGUE_READ)
async def listed(backend: NamedDependency[Backend]) -> Secrets:
    """List secrets: name, version, who set it when, which services use it. Never a value."""
    return Secrets(items=await secrets.listed(backend.engine))


@put("/v1/secrets/{name:str}", permission=Permission.SECRETS_WRITE, request_max_body_size=MAX_BYTES)
async def set_secret(
    request: Request[Any, Any, Any],
    name: PathName,
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
    note: Annotated[str, QueryParameter(max_length=MAX_NOTE)] = "",
) -> SetSecret:
    """Set a secret, or its next version: the body is the value, as it is, but for one line end at its end."""
    return await secrets.set_secret(
        backend.engine,
        Vault(backend.settings.keys_folder),
        principal,
        name,
        await request.body(),
        note=note,
        now=backend.now(),
    )


@delete("/v1/secrets/{name:str}", permission=Permission.SECRETS_WRITE)
async def remove(name: PathName, backend: NamedDependency[Backend], principal: NamedDependency[Principal]) -> None:
    """Forget a secret that no service names. The hosts that had it keep what their software keeps."""
    await secrets.remove(backend.engine, principal, name, now=backend.now())


ROUTES = (listed, set_secret, remove)
