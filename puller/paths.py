"""Where things lie under the prefix. Nothing else joins a path."""

from pathlib import Path

from msgspec import Struct


class Paths(Struct, frozen=True):
    """The folders of one host."""

    prefix: Path

    @property
    def settings(self) -> Path:
        """The settings file."""
        return self.prefix / "etc" / "puller.toml"

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
    def trust(self) -> Path:
        """The trust file that holds, as a signed note."""
        return self.state / "trust.note"

    @property
    def lock(self) -> Path:
        """Held by the one puller of this host."""
        return self.state / "lock"

    @property
    def artifacts(self) -> Path:
        """Packages and bundles by digest."""
        return self.prefix / "artifacts"

    @property
    def bundles(self) -> Path:
        """Unpacked bundles."""
        return self.prefix / "bundles"

    @property
    def steps(self) -> Path:
        """Scratch folders of script calls."""
        return self.prefix / "steps"

    def artifact(self, digest: str) -> Path:
        """Where the artifact of that digest lies when it is here."""
        return self.artifacts / "sha256" / digest.removeprefix("sha256:")
