"""Where things lie under the prefix. Nothing else joins a path."""

from pathlib import Path
from typing import NamedTuple


class Paths(NamedTuple):  # no msgspec: `alive` is asked every minute, and needs nothing else of it
    """The folders of one host."""

    prefix: Path

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.prefix / "etc" / "puller.toml"

    @property
    def proxies(self) -> Path:
        """The proxy variables of the agent's unit, with their passwords."""
        return self.prefix / "etc" / "proxy.env"

    @property
    def state(self) -> Path:
        """What must not be lost."""
        return self.prefix / "state"

    @property
    def database(self) -> Path:
        """Ratchet, record, journal, outbox."""
        return self.state / "towline.db"

    @property
    def keys(self) -> Path:
        """The host's private keys."""
        return self.state / "keys"

    @property
    def pending_keys(self) -> Path:
        """Keys that were shown to a backend whose answer is not here yet, and the token they were shown with."""
        return self.state / "keys.pending"

    @property
    def trust(self) -> Path:
        """The trust file that holds, as a signed note."""
        return self.state / "trust.note"

    @property
    def lock(self) -> Path:
        """Held by the one puller of this host."""
        return self.state / "lock"

    @property
    def socket(self) -> Path:
        """Where the running puller answers who asks whether it lives."""
        return self.prefix / "run" / "puller.sock"

    @property
    def artifacts(self) -> Path:
        """Packages and bundles by digest."""
        return self.prefix / "artifacts"

    @property
    def incoming(self) -> Path:
        """Packages laid here by hand: they need not be fetched."""
        return self.prefix / "incoming"

    @property
    def bundles(self) -> Path:
        """Unpacked bundles."""
        return self.prefix / "bundles"

    @property
    def steps(self) -> Path:
        """Scratch folders of script calls."""
        return self.prefix / "steps"

    @property
    def metrics(self) -> Path:
        """What node exporter's textfile collector reads, where agentctl.sh set it up."""
        return self.prefix / "metrics"

    @property
    def log(self) -> Path:
        """The agent's log where no systemd keeps it."""
        return self.prefix / "log" / "puller.log"

    @property
    def agent(self) -> Path:
        """The agent's own releases, and what agentctl.sh knows of them."""
        return self.prefix / "agent"

    def artifact(self, digest: str) -> Path:
        """Where the artifact of that digest lies when it is here."""
        return self.artifacts / "sha256" / digest.removeprefix("sha256:")
