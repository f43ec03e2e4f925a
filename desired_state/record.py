"""What this host applied last: the inventory."""

from msgspec import Struct

from desired_state.contract import Effect
from desired_state.document import State, Value
from desired_state.names import (
    Digest,
    Kind,
    ParameterName,
    Revision,
    Role,
    SecretName,
    SecretVersion,
    ServiceName,
    Timestamp,
    Version,
)
from desired_state.observed import Identity


class AppliedSecret(Struct, frozen=True, kw_only=True):
    """Which version of which secret a configuration was made with. Never its value."""

    name: SecretName
    version: SecretVersion

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class Recorded(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service as it was applied last."""

    name: ServiceName
    kind: Kind
    version: Version
    state: State
    """What was reached last: `running`, `stopped`; `absent` once uninstalled or given back."""
    adopted: bool = False
    """The process was somebody else's and was taken over as it ran."""
    parameters: dict[ParameterName, str] = {}
    """As they stand in the configuration on disk: as text, with the defaults of that time."""
    secrets: dict[ParameterName, AppliedSecret] = {}
    packages: dict[Role, Digest] = {}
    monitoring: dict[ParameterName, Value] = {}
    config: str = ""
    """Digest of the configuration that `configure` left."""
    pending: Effect = Effect.NONE
    """What the configuration on disk still waits for before the running process has it."""
    identity: Identity | None = None
    holds_data: bool = False
    """Data may lie on the disk, also after the program went."""
    revision: Revision = 1
    """The document that last changed it."""
    generation: int = 0
    """Counts finished steps: two repairs of the same damage are two steps, a step that is tried again is one."""
    applied_at: Timestamp | None = None


Record = dict[ServiceName, Recorded]
