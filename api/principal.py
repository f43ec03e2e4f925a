"""Who asks, and what that one may do."""

from enum import StrEnum

from msgspec import Struct


class Permission(StrEnum):
    """What a route needs. Each route declares one; an app with a route that does not is not made."""

    PUBLIC = "public"
    """Anybody. Only for what tells nothing, or checks by itself who asks (enrolment, sign-in)."""
    HOST = "host"
    """The host that is named in the path, by its signature. No person has it."""
    CATALOGUE_READ = "catalogue:read"
    CATALOGUE_WRITE = "catalogue:write"
    PLAN = "plan"
    PUBLISH = "publish"
    FLEET_READ = "fleet:read"
    HOSTS_INVITE = "hosts:invite"
    HOSTS_SUSPEND = "hosts:suspend"
    ARTIFACTS_READ = "artifacts:read"
    """Hosts have it too."""
    ARTIFACTS_WRITE = "artifacts:write"
    EVENTS_READ = "events:read"
    METRICS_READ = "metrics:read"
    SECRETS_WRITE = "secrets:write"
    """Set and remove. Nobody reads them: there is no such permission."""
    TOKENS_MANAGE = "tokens:manage"


class Role(StrEnum):
    """What people are; each has all that the one before has."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


_VIEWER = frozenset(
    {
        Permission.PUBLIC,
        Permission.CATALOGUE_READ,
        Permission.PLAN,
        Permission.FLEET_READ,
        Permission.ARTIFACTS_READ,
        Permission.EVENTS_READ,
        Permission.METRICS_READ,
    }
)
_OPERATOR = _VIEWER | {
    Permission.CATALOGUE_WRITE,
    Permission.PUBLISH,
    Permission.HOSTS_INVITE,
    Permission.HOSTS_SUSPEND,
    Permission.ARTIFACTS_WRITE,
    Permission.SECRETS_WRITE,
}
PERMISSIONS_OF = {
    Role.VIEWER: _VIEWER,
    Role.OPERATOR: frozenset(_OPERATOR),
    Role.ADMIN: frozenset(_OPERATOR | {Permission.TOKENS_MANAGE}),
}
"""What each role may do."""
SCOPES = tuple(sorted(permission.value for permission in PERMISSIONS_OF[Role.ADMIN] - {Permission.PUBLIC}))
"""Permissions that a token can be narrowed to."""


class Principal(Struct, frozen=True, kw_only=True):
    """Who asks. Made by the authentication only."""

    actor: str
    """As the audit log names it: `token:<name>`, `host:<name>`, `anonymous`, `command`, `schedule`."""
    permissions: frozenset[Permission] = frozenset({Permission.PUBLIC})
    role: Role | None = None
    host: str = ""
    """Set when a host asks, by its signature."""
    token_id: str = ""
    csrf_token: str = ""
    """Set when a browser's session asks: what its unsafe requests must carry."""

    def may(self, permission: Permission) -> bool:
        """Whether this one has that permission."""
        return permission in self.permissions


ANONYMOUS = Principal(actor="anonymous")
COMMAND = Principal(actor="command", permissions=PERMISSIONS_OF[Role.ADMIN], role=Role.ADMIN)
"""Somebody with a shell on the backend's machine and access to its database."""
SCHEDULE = Principal(actor="schedule", permissions=PERMISSIONS_OF[Role.ADMIN], role=Role.ADMIN)
"""The backend itself, by its timer."""


def host_principal(host: str) -> Principal:
    """The host of that name, after its signature was checked."""
    permissions = frozenset({Permission.PUBLIC, Permission.HOST, Permission.ARTIFACTS_READ})
    return Principal(actor=f"host:{host}", permissions=permissions, host=host)
