"""Everything the pass needs of the world, in one place: `agent` fills it with the real ones, tests with fakes."""

from collections.abc import Callable
from typing import Literal

from msgspec import Struct

from desired_state.names import HostName
from puller.bundles import Bundles
from puller.metrics import Metrics
from puller.paths import Paths
from puller.ports import Artifacts, Clock, Glance, Runner, Sink, Source
from puller.store import Store
from puller.trust_file import TrustFile


class Parts(Struct, frozen=True, kw_only=True):
    """The adapters of one puller."""

    host: HostName
    paths: Paths
    store: Store
    trust: TrustFile
    source: Source
    source_type: Literal["http", "git", "directory", ""]
    sink: Sink | None
    artifacts: Artifacts
    bundles: Bundles
    runner: Runner
    glance: Glance
    clock: Clock
    jitter: Callable[[], float]
    """Uniform in [0, 1)."""
    new_id: Callable[[], str]
    """A run's id: never the same twice."""
    metrics: Metrics | None = None
    """None: nobody on this host collects them."""
    boot_id: str = ""
    agent_version: str = ""
    own_address: Callable[[], str] = str
    """This host's own address towards the backend, as its last request had it; empty when nobody knows."""
