"""One kind on its real software: a whole life of each version, up from the version before it and down again.

Each stage is a row of the table in docs/scripts/tested.md. A stage that fails ends that version's life; what was seen
is told in its cell, and the run fails.
"""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from tests.middleware.archives import Unavailable
from tests.scripts.calling import Said, end_processes, eventually
from tests.scripts.kinds.case import Case, Software, service_of

STAGES = {
    "install": "installed from its archive",
    "start": "configured and started",
    "probe": "answers its own protocol",
    "heal": "killed with -9, started again",
    "reconfigure": "reconfigured, by a restart",
    "reload": "reconfigured, by a reload",
    "downgrade": "downgraded to the version on the left",
    "upgrade": "upgraded from the version on the left",
    "stop": "stopped",
    "uninstall": "uninstalled",
    "purge": "purged",
    "cluster": "several as a cluster",
}
NOT_HAD = "-"


class Outcome(Struct, frozen=True, kw_only=True):
    """What one stage of one version came to."""

    stage: str
    words: str
    good: bool = True


class Wrong(Exception):
    """A stage did not reach its state; the text says what was seen."""


def expect(is_so: object, words: str) -> None:
    """Raises Wrong with these words unless it is so."""
    if not is_so:
        raise Wrong(words)


def lives(kind: str, case: Case, software: Software, older: Software | None) -> Iterator[Outcome]:
    """The stages, one after the other, of a service of that kind in a scratch folder."""
    with tempfile.TemporaryDirectory(prefix="towline-middleware-") as name:
        folder = Path(name)
        try:
            life = Life(kind, case, software, older, folder)
            for stage in STAGES:
                words, good = _outcome(getattr(life, stage))
                yield Outcome(stage=stage, words=words, good=good)
                if not good:
                    return
        except Unavailable as error:
            yield Outcome(stage="install", words=f"could not be had: {error}", good=False)
        finally:
            end_processes(folder)


def _outcome(stage: Callable[[], str]) -> tuple[str, bool]:
    try:
        return stage(), True
    except (Wrong, AssertionError, OSError, ValueError, KeyError) as error:
        return f"{type(error).__name__}: {error}".replace("\n", " ")[:600], False


class Life:
    """One version of one kind, stage after stage. Each method is a stage and returns the words of its cell."""

    def __init__(self, kind: str, case: Case, software: Software, older: Software | None, folder: Path) -> None:
        self._real, self._software, self._older = case.real, software, older
        self._process = case.process
        self._service = service_of(kind, software, folder, "real")

    def install(self) -> str:
        """The program is there and is the version that the document says; a second time nothing happens."""
        self._service.do("install")
        expect(self._service.do("install").changed == "0", "a second install changes something")
        return "done"

    def start(self) -> str:
        """Runs, healthy, and says its version."""
        self._service.do("configure", "start")
        status = self._running()
        expect(status.facts["version"] == self._software.version, f"says version {status.facts['version']}")
        if self._real.write:
            self._real.write(self._service)
        return "done"

    def probe(self) -> str:
        """Its own client's answer."""
        said = self._real.probe(self._service)
        expect(said, "its client gets no answer")
        return said

    def heal(self) -> str:
        """SIGKILL is seen, and `start` brings it back with its data."""
        if not self._process:
            return self._files_back()
        pid = self._service.process()
        os.kill(pid, signal.SIGKILL)
        expect(eventually(20, lambda: self._service.state_now() == "stopped"), "a killed process is not seen")
        self._service.do("start")
        expect(self._service.process() != pid, "is still the killed process")
        return self._alive()

    def _files_back(self) -> str:
        """What has no process has files: gone, they are missed and brought back."""
        shutil.rmtree((self._service.root / "current").resolve())
        expect(self._service.state_now() == "absent", "its lost files are not seen")
        self._service.do("install", "start")
        return f"no process; files deleted, installed again: {self._alive()}"

    def reconfigure(self) -> str:
        """A change that needs a restart is degraded until then."""
        if not self._real.restarted:
            return NOT_HAD
        before = self._service.status()
        self._change(self._real.restarted)
        if self._process:
            expect(self._service.state_now() == "degraded", "a waiting configuration is not told")
        self._service.do("restart")
        if self._process:
            expect(self._running().identity != before.identity, "is still the same process")
        return self._alive()

    def reload(self) -> str:
        """A change that a reload makes true, without a new process."""
        if not (self._real.reloaded or self._real.rotated):
            return NOT_HAD
        before = self._running().identity
        if self._real.reloaded:
            self._change(self._real.reloaded)
        if self._real.rotated:
            self._service.secrets |= self._real.rotated
            self._service.do("configure")
        self._service.do("reload")
        expect(self._running().identity == before, "is another process")
        self._alive()
        return "; ".join(["same process", *(f"another {name} counts" for name in self._real.rotated)])

    def downgrade(self) -> str:
        """Back to the older version with this one's data; or refused by the software, and nothing lost."""
        if self._older is None:
            return NOT_HAD
        self._become(self._older)
        if not self._older.refuses:
            self._service.do("start")
            self._is(self._older)
            return self._of_another(self._alive())
        said = self._service.call("start")
        expect(said.code != 0, "the older one takes the data, though it was said to refuse it")
        expect(self._older.refuses in said.reason, f"another reason than expected: {said.reason}")
        self._become(self._software)
        self._service.do("start")
        self._alive()
        return self._of_another(f"refused by {self._older.refused_by}: {self._older.refuses}")

    def upgrade(self) -> str:
        """Up again, with the data still there."""
        if self._older is None:
            return NOT_HAD
        if self._older.refuses:
            self._fresh(self._older)
        self._become(self._software)
        self._service.do("start")
        self._is(self._software)
        return self._of_another(self._alive())

    def stop(self) -> str:
        """Orderly, and a second time nothing happens."""
        self._service.do("stop")
        expect(self._service.state_now() == "stopped", "does not say that it is stopped")
        expect(self._service.do("stop").changed == "0", "a second stop changes something")
        return "done"

    def uninstall(self) -> str:
        """The program goes, the data stays."""
        before = _names(self._service.root / "data")
        self._service.do("uninstall")
        expect(self._service.state_now() == "absent", "does not say that it is absent")
        expect(not list((self._service.prefix / "packages").iterdir()), "its program is still there")
        expect(_names(self._service.root / "data") == before, "its data has changed")
        return "data stays" if before else "done"

    def purge(self) -> str:
        """Nothing is left."""
        self._service.do("purge")
        expect(not list((self._service.prefix / "services").iterdir()), "something of it is left")
        return "done"

    def cluster(self) -> str:
        """Several of them that know each other, one of them lost and back."""
        if self._real.cluster is None:
            return NOT_HAD
        folder = self._service.folder / "cluster"
        folder.mkdir()
        return self._real.cluster(self._software, folder)

    def _of_another(self, words: str) -> str:
        """Names the older one where it is not the one on the left."""
        after = self._software.after
        return f"{after.name} {after.version}: {words}" if after else words

    def _become(self, software: Software) -> None:
        self._service.do("stop")
        self._is_to_be(software)
        self._service.do("install", "configure")

    def _is_to_be(self, software: Software) -> None:
        self._service.version, self._service.packages = software.version, dict(software.packages())
        self._service.parameters |= software.parameters
        if software.secrets is not None:
            self._service.secrets = dict(software.secrets)

    def _fresh(self, software: Software) -> None:
        """Another service's life: data that the older version itself has made."""
        self._service.do("stop", "uninstall", "purge")
        self._is_to_be(software)
        self._service.do("install", "configure", "start")
        if self._real.write:
            self._real.write(self._service)

    def _change(self, parameters: Mapping[str, str]) -> None:
        self._service.parameters |= parameters
        expect(self._service.do("configure").changed == "1", "configure says that nothing changed")

    def _running(self) -> Said:
        deadline = time.monotonic() + 30
        while (status := self._service.status()).facts["state"] != "running":
            expect(time.monotonic() < deadline, f"is {status.facts['state']}: {status.reason}")
            time.sleep(0.1)
        return status

    def _is(self, software: Software) -> None:
        version = self._running().facts["version"]
        expect(version == software.version, f"says version {version}, not {software.version}")

    def _alive(self) -> str:
        """Healthy, answering, and with the data."""
        self._running()
        expect(self._real.probe(self._service), "its client gets no answer")
        if self._real.read is None:
            return "done"
        read = self._real.read
        expect(eventually(20, lambda: read(self._service)), "its data is gone")
        return "done, data there"


def _names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*")) if folder.exists() else []
