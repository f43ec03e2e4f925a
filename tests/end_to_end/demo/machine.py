"""One host of the demo: a puller under a scratch prefix, without root."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from .backend import Backend
from .commands import command, own_environment
from .narrator import WentWrong
from .processes import Processes, identity


class Machine:
    """A host: its prefix, its puller, its services."""

    def __init__(
        self,
        name: str,
        folder: Path,
        *,
        git_source: Path | None = None,
        directory_source: Path | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> None:
        """`settings`: of the puller, as variables of its environment."""
        self.name = name
        self.prefix = folder / name
        self._git_source = git_source
        self._directory_source = directory_source
        self._settings = dict(settings or {})

    @property
    def source(self) -> str:
        """Where its documents come from, in a word."""
        return "git" if self._git_source else "directory" if self._directory_source else "HTTP"

    @property
    def agent(self) -> str:
        """What the process of its agent is called."""
        return f"puller-{self.name}"

    def enrol(self, backend: Backend) -> None:
        """Gets a join token and uses it."""
        self.use_token(backend.run("host", "invite", self.name))

    def use_token(self, text: str) -> None:
        """Enrols with a join token: from a file, never from arguments."""
        self.prefix.mkdir(parents=True)
        token = self.prefix / "join-token"
        token.write_text(text)
        token.chmod(0o600)
        arguments = ["enroll", "--token-file", str(token)]
        if self._git_source:
            arguments += ["--git-url", str(self._git_source), "--git-branch", "published"]
        if self._directory_source:
            arguments += ["--directory", str(self._directory_source)]
        self.run(*arguments)
        token.unlink()

    def start(self, processes: Processes) -> None:
        """Starts the agent."""
        run = [*command("towline-puller"), "--prefix", str(self.prefix), "run"]
        processes.start(self.agent, run, environment=self._environment(), cwd=self.prefix)

    def run(self, *arguments: str, accept: tuple[int, ...] = (0,)) -> str:
        """Runs `towline-puller` on this host; what it printed."""
        done = subprocess.run(
            [*command("towline-puller"), "--prefix", str(self.prefix), *arguments],
            env=self._environment(),
            cwd=self.prefix,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in accept:
            told = (done.stderr or done.stdout).strip()
            raise WentWrong(
                f"towline-puller {' '.join(arguments)} on {self.name} ended with {done.returncode}:\n{told}"
            )
        return done.stdout

    def _environment(self) -> dict[str, str]:
        return own_environment(self.prefix) | self._settings

    def pid(self, service: str) -> int | None:
        """The living process of a service, by the identity file of its keeper."""
        file = self.prefix / "services" / service / "run" / "identity"
        if not file.exists():
            return None
        facts = dict(line.split("=", 1) for line in file.read_text().splitlines() if "=" in line)
        pid, start = int(facts.get("pid", "0")), int(facts.get("start_time", "0"))
        return pid if pid > 1 and identity(pid) == (pid, start) else None
