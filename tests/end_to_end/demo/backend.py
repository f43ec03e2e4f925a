"""The backend of the demo, and what it says over REST."""

import json
import subprocess
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode

from .commands import command, own_environment
from .narrator import WentWrong
from .processes import Processes


class Backend:
    """`towline serve` with its settings under a scratch folder."""

    def __init__(self, folder: Path, *, port: int, catalogue: Path, published: Path) -> None:
        """Catalogue and published documents each lie in a bare repository (`….git`) or in a folder."""
        self.url = f"http://127.0.0.1:{port}"
        self.folder = folder
        self.state = folder / "state"
        self._config = folder / "towline.toml"
        self._token = ""
        self._browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        folder.mkdir(parents=True)
        source = f'[catalogue.git]\nurl = "{catalogue}"' if _is_git(catalogue) else f'folder = "{catalogue}"'
        target = f'[publish.git]\nurl = "{published}"' if _is_git(published) else f'directory = "{published}"'
        self._config.write_text(
            f'[server]\nport = {port}\nmetrics_from_loopback = true\n[state]\nfolder = "{self.state}"\n'
            f"[catalogue]\npoll_s = 5\n{source}\n[publish]\npoll_s = 1\n{target}\n"
        )

    def start(self, processes: Processes) -> None:
        """Starts `towline serve`."""
        serve = [*command("towline"), "--config", str(self._config), "serve"]
        processes.start("backend", serve, environment=own_environment(self.folder), cwd=self.folder)

    def run(self, *arguments: str, accept: tuple[int, ...] = (0,), cwd: Path | None = None, given: str = "") -> str:
        """Runs `towline` with these arguments, and what is given on its standard input; what it printed."""
        done = subprocess.run(
            [*command("towline"), "--config", str(self._config), *arguments],
            env=own_environment(self.folder),
            cwd=cwd or self.folder,
            input=given,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in accept:
            told = (done.stderr or done.stdout).strip()
            raise WentWrong(f"towline {' '.join(arguments)} ended with {done.returncode}:\n{told}")
        return done.stdout

    def sign_in(self) -> None:
        """Makes an administrator's token; the story asks with it."""
        self._token = self.run("token", "create", "demo").strip().splitlines()[-1]

    def answers(self) -> str | None:
        """None once the backend is ready."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=3) as answer:
                return None if answer.status == 200 else f"it answers {answer.status}"
        except (URLError, OSError) as error:
            return f"it does not answer yet ({error})"

    def ask(self, path: str, *, method: str = "GET", body: object = None) -> Any:
        """A REST call; the JSON of its answer."""
        request = urllib.request.Request(
            f"{self.url}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.loads(answer.read() or b"null")
        except HTTPError as error:
            raise WentWrong(
                f"{method} {path} answered {error.code}: {error.read().decode('utf-8', 'replace')[:500]}"
            ) from error

    def sign_in_to_page(self) -> None:
        """A session, as the page's form begins it."""
        self.page("/signin", form={"token": self._token})

    def page(self, path: str, *, form: dict[str, str] | None = None) -> str:
        """The HTML of a page, or of the one that a form leads to."""
        data = None if form is None else urlencode(form).encode()
        with self._browser.open(urllib.request.Request(f"{self.url}{path}", data=data), timeout=30) as answer:
            return str(answer.read().decode())

    def standings(self) -> dict[str, tuple[str, str]]:
        """Each host's word and sentence, as the page shows them."""
        lines = self.ask("/v1/fleet")["lines"]
        return {line["host"]: (line["standing"]["word"], line["standing"]["sentence"]) for line in lines}

    def revision(self, host: str) -> int:
        """The number of a host's newest document."""
        return int(self.ask(f"/v1/hosts/{host}")["line"]["facts"]["published"]["revision"])


def _is_git(place: Path) -> bool:
    return place.suffix == ".git"
