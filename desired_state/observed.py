"""What was seen on a host."""

from typing import Literal

from msgspec import Struct

from desired_state.names import Digest, ServiceName, Text, Timestamp, Version

Seen = Literal["absent", "stopped", "running", "degraded", "unknown"]
"""`unknown`: nobody could look. It is never ok, and nothing is ever done because of it."""


class Identity(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which process, beyond doubt: a pid alone is used again; with boot and start time it is not."""

    boot_id: str
    pid: int
    start_time: int
    """Clock ticks since boot: field 22 of /proc/PID/stat."""
    exe: str = ""
    command: str = ""
    """sha256 of the command line's bytes."""


class Observation(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One service, as it was seen at one moment."""

    service: ServiceName
    state: Seen
    seen_at: Timestamp
    by: Literal["script", "glance"] = "script"
    """Asked the script, or looked in process at what the script named last time."""
    probed_at: Timestamp | None = None
    """When a script last proved function: health is no younger than this."""
    version: Version = ""
    config: Digest | Literal[""] = ""
    """Digest over the configuration files on disk."""
    watch: tuple[str, ...] = ()
    """The files that `config` covers, in its order."""
    drift: tuple[Text, ...] = ()
    """What somebody changed in them by hand, key by key, as the script tells it; nothing secret."""
    identity: Identity | None = None
    ports: tuple[int, ...] = ()
    unit: str = ""
    reason: Text = ""


Observed = dict[ServiceName, Observation]
