"""A host on which `agentctl.sh install` is tried, and the backend that gives out what it asks for."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import urlsplit

from api.services.join_command import Way, pasted
from desired_state.joined_script import joined
from puller.kinds.traces import tree
from tests.agent.parts import SCRIPTS, Told, run
from tests.agent.prefix import archive, end_processes
from tests.agent.tokens import token
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import Exchange, HttpServer, serving

FILES = {path.relative_to(SCRIPTS).as_posix(): path.read_bytes() for path in SCRIPTS.rglob("*.sh")}
SHORT = (b"SERVING_WAIT_S=90", b"SERVING_WAIT_S=4")
"""How long a test waits for an agent that will not serve."""
AGENTCTL = joined("agentctl.sh", FILES).replace(*SHORT)


class Shop:
    """What the backend of a test gives out: by digest below /v1/agent, and that it is well."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.url = ""

    def keep(self, data: bytes) -> str:
        """Gives out these bytes from now on; their digest."""
        self.files[sha256(data).hexdigest()] = data
        return sha256(data).hexdigest()

    def answer(self, exchange: Exchange) -> None:
        """As the backend does."""
        path = urlsplit(exchange.target).path  # through a proxy the whole address is asked for
        name = path.rpartition("/")[2]
        if path == "/healthz":
            exchange.answer(200, b'{"status":"ok"}')
        elif path.startswith("/v1/agent/sha256/") and name in self.files:
            exchange.answer(200, self.files[name])
        else:
            exchange.answer(404)


class Host:
    """A scratch host whose agent nobody keeps but the test, and a backend."""

    def __init__(self, folder: Path, shop: Shop) -> None:
        self.folder, self.shop = folder, shop
        self.prefix = folder / "prefix"
        self.prefix.mkdir()
        (self.prefix / "keeper").write_text("none\n")
        self.script = folder / "agentctl.sh"
        self.script.write_bytes(AGENTCTL)
        self.more: dict[str, str] = {}

    def offer(self, version: str, behaviour: str = "serve") -> str:
        """The backend has an archive of that version; the token of an invitation that names it."""
        return self.invite(archive(self.folder, version, behaviour))

    def invite(self, path: Path, **how: object) -> str:
        """The token of an invitation that names this archive, which the backend has."""
        self.shop.keep(path.read_bytes())
        url = str(how.pop("url", self.shop.url))
        return token(url, archive=path, agentctl=sha256(AGENTCTL).hexdigest(), **how)  # type: ignore[arg-type]

    def install(self, line: str, *options: str) -> Told:
        """By hand, with the token on standard input."""
        return run(self.command(*options), self.folder, stdin=line.encode(), more=self.more)

    def command(self, *options: str) -> list[str]:
        """The command by hand."""
        return ["bash", str(self.script), "install", "--prefix", str(self.prefix), *options]

    def release(self, link: str) -> str:
        """The version that a link leads to."""
        return (self.prefix / "agent" / link).readlink().name.partition("-")[0]

    def starts(self) -> list[str]:
        """Versions of the agents that were started so far."""
        path = self.prefix / "state/starts"
        return [line.partition("-")[0] for line in path.read_text().split()] if path.exists() else []

    def runs(self) -> str:
        """The version that runs, by what holds the lock."""
        lock = self.prefix / "state/lock"
        pid = lock.read_text().strip() if lock.exists() else ""
        if not pid or not Path(f"/proc/{pid}/cmdline").exists():
            return ""
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
        return next((Path(word).parents[1].name.partition("-")[0] for word in words if "/releases/" in word), "")

    def files(self) -> list[str]:
        """Everything below the prefix."""
        return [name for name in tree(self.prefix) if name != "keeper"]


@contextmanager
def new_host(tls: Authority | None = None) -> Iterator[tuple[Host, HttpServer]]:
    """A host and its backend, for the length of a test."""
    folder, shop = Path(tempfile.mkdtemp(prefix="towline-install-")), Shop()
    try:
        with serving(shop.answer, tls.server_tls() if tls else None) as server:
            shop.url = server.url
            yield Host(folder, shop), server
    finally:
        end_processes(folder)
        shutil.rmtree(folder)


def refused(host: Host, told: Told, code: int, words: str) -> None:
    """It ended so, nothing was run, and nothing is left, not even a folder."""
    assert (code, True, [], []) == (told.code, words in told.err, host.starts(), host.files()), told.err


def paste(host: Host, line: str, **way: str) -> Told:
    """What `towline host invite` prints, into a shell."""
    text = pasted(
        line,
        backend_url=host.shop.url,
        agentctl_hex=sha256(AGENTCTL).hexdigest(),
        way=Way(prefix=str(host.prefix), **way),
    )
    return run(["bash", "-c", text], host.folder, more=host.more)
