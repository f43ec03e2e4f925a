"""The backend's settings: a TOML file, and `TOWLINE_<SECTION>_<KEY>` of the environment, which outweighs it.

Read once at the start, strictly: an unknown key is an error, and all errors are told at once.
"""

import os
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

Port = Annotated[int, Meta(ge=1, le=65535)]
Days = Annotated[int, Meta(ge=1, le=3660)]
WebUrl = Annotated[str, Meta(pattern=r"^https?://[^\s/]+(/[^\s]*)?$", max_length=500)]


def default_state_folder() -> Path:
    """`/var/lib/towline` for root; for everybody else a folder of their own."""
    if os.geteuid() == 0:
        return Path("/var/lib/towline")
    home = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(home) / "towline"


class _Section(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One table of the file."""


class ServerSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[server]`: where the backend listens, and how others reach it."""

    host: str = "127.0.0.1"
    port: Port = 8470
    base_url: WebUrl | Literal[""] = ""
    """As browsers and hosts reach it; empty: http on the address it listens on. Join tokens and links carry it."""
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    session_hours: Annotated[int, Meta(ge=1, le=24 * 30)] = 12
    metrics_from_loopback: bool = False
    """Whether /metrics answers without a token to callers on this machine."""

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        if self.base_url:
            return self.base_url.rstrip("/")
        scheme = "https" if self.tls_cert_file else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"


class DatabaseSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[database]`: where the catalogue and all that happens is kept."""

    url: str = ""
    """`mysql://user:password@host/name`, `sqlite:////path/file`; empty: `towline.db` in the state folder."""
    password_file: Path | None = None
    """Its first line is the password, so that the URL needs none."""
    ca_file: Path | None = None
    """CAs in PEM form: the connection to MySQL is encrypted and the server's name checked."""


class StateSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[state]`: the folder with private keys, artifacts and caches."""

    folder: Path = Path()
    """Empty: `/var/lib/towline` for root, else `~/.local/state/towline`."""


class GitSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[catalogue.git]`, `[publish.git]`: a branch of a repository, and how to get in. Secrets are paths of files."""

    url: Annotated[str, Meta(min_length=1, max_length=1000)]
    branch: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")] = "main"
    username: str = ""
    password_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None


class PublishGitSettings(GitSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[publish.git]`: the same, on a branch that nothing else is on."""

    branch: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]{0,199}$")] = "published"


class CatalogueSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[catalogue]`: where the catalogue as code lives. Neither: it is kept here, by REST and page."""

    folder: Path | None = None
    """A working tree: `catalogue/**/*.yaml` in it, and `scripts/` for kinds of its own."""
    git: GitSettings | None = None
    poll_s: Annotated[int, Meta(ge=5, le=86400)] = 60
    """How often it is looked at."""

    @property
    def is_code(self) -> bool:
        """Whether the catalogue is kept outside the backend, which then only reads it."""
        return self.folder is not None or self.git is not None


class PublishSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[publish]`: where documents are put beside the HTTP endpoint."""

    directory: Path | None = None
    git: PublishGitSettings | None = None
    artifact_bases: tuple[WebUrl, ...] = ()
    """Where hosts fetch artifacts by digest; empty: from this backend."""
    validity_days: Days = 90
    """How long a document counts; it is issued anew when half of that is gone."""
    poll_s: Annotated[int, Meta(ge=1, le=86400)] = 10
    """How often it is looked whether there is something to publish."""


class SweepSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[sweep]`: how much of the past is kept; what is older or more goes."""

    report_days: Days = 30
    reports_per_host: Annotated[int, Meta(ge=1, le=1_000_000)] = 500
    event_days: Days = 730
    documents_per_host: Annotated[int, Meta(ge=1, le=10_000)] = 50
    refused_change_days: Days = 90


class HostsSettings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[hosts]`: how hosts get in, and when they count as silent."""

    join_token_hours: Annotated[int, Meta(ge=1, le=24 * 30)] = 24
    stale_after_polls: Annotated[int, Meta(ge=2, le=1000)] = 3
    """A host that missed so many polls is Stale."""


class Settings(_Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that can be set."""

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings = DatabaseSettings()
    state: StateSettings = StateSettings()
    catalogue: CatalogueSettings = CatalogueSettings()
    publish: PublishSettings = PublishSettings()
    sweep: SweepSettings = SweepSettings()
    hosts: HostsSettings = HostsSettings()

    @property
    def state_folder(self) -> Path:
        """Where private keys, artifacts and caches lie."""
        return default_state_folder() if self.state.folder == Path() else self.state.folder

    @property
    def keys_folder(self) -> Path:
        """Where the private keys lie; nobody else may read it."""
        return self.state_folder / "keys"

    @property
    def database_url(self) -> str:
        """The URL of the database, its password not in it when that is kept in a file."""
        return self.database.url or f"sqlite:///{self.state_folder.absolute() / 'towline.db'}"
