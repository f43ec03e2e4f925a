"""/v1/tokens: API tokens."""

from typing import Annotated

from litestar import delete, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody, QueryParameter
from msgspec import Meta, Struct

from api.backend import Backend
from api.controllers.bounds import PathName
from api.principal import Permission, Principal, Role
from api.services import tokens
from api.services.tokens import NewToken, Tokens
from desired_state.names import Timestamp


class TokenRequest(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to be made. `scopes` narrow the role to these permissions."""

    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._@-]{0,98}$(?!\n)")]
    role: Role
    scopes: tuple[Annotated[str, Meta(max_length=50)], ...] = ()
    expires_at: Timestamp | None = None


@get("/v1/tokens", permission=Permission.TOKENS_MANAGE)
async def listed(
    backend: NamedDependency[Backend],
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 100,
    after: Annotated[str, QueryParameter(max_length=64)] = "",
) -> Tokens:
    """List tokens, never their secrets."""
    return await tokens.listed(backend.engine, after=after, limit=limit)


@post("/v1/tokens", permission=Permission.TOKENS_MANAGE)
async def create(
    data: JSONBody[TokenRequest], backend: NamedDependency[Backend], principal: NamedDependency[Principal]
) -> NewToken:
    """Make a token; its secret is told once."""
    return await tokens.create(
        backend.engine,
        principal,
        name=data.name,
        role=data.role,
        scopes=data.scopes,
        expires_at=data.expires_at,
        now=backend.now(),
    )


@delete("/v1/tokens/{id:str}", permission=Permission.TOKENS_MANAGE)
async def revoke(
    id: PathName,  # noqa: A002 - the path's own word
    backend: NamedDependency[Backend],
    principal: NamedDependency[Principal],
) -> None:
    """End a token, and every session that came of it."""
    await tokens.revoke(backend.engine, principal, id, now=backend.now())


ROUTES = (listed, create, revoke)
