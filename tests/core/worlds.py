"""A host in memory: what scripts would do, without any. Shared by the properties of diff and plan."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from desired_state.answer import Answer
from desired_state.contract import Effect, KindMeta, PackageRole, Parameter, Verb, VerbMeta
from desired_state.document import Artifact, Document, Limits, Origin, Package, SealedSecret, Service
from desired_state.names import digest_of
from desired_state.observed import Identity, Observation, Observed
from desired_state.parameters import with_defaults
from desired_state.progress import after_look, after_step
from desired_state.record import Record
from desired_state.step import Plan, Step

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
NAMES = ("alpha", "beta", "gamma", "delta")
ALL_VERBS = [verb for verb in Verb if verb not in (Verb.META, Verb.DISCOVER)]


def kind(name: str = "thing", *, without: tuple[Verb, ...] = (), side_by_side: bool = False) -> KindMeta:
    """A kind with one parameter of each effect."""
    return KindMeta(
        schema="towline.meta/1",
        kind=name,
        holds_data=True,
        side_by_side=side_by_side,
        parameters=(
            *(Parameter(name=f"p_{e}", type="string", default="0", effect=e) for e in Effect),
            Parameter(name="password", type="secret"),
        ),
        packages=(PackageRole(role="server"),),
        monitoring=()
        if Verb.MONITOR_TRACE in without
        else (Parameter(name="exporter", type="bool", effect=Effect.NONE),),
        verbs={verb: VerbMeta(timeout_s=10) for verb in ALL_VERBS if verb not in without},
    )


KINDS = {
    "thing": kind(),
    "plain": kind("plain", without=(Verb.RELOAD, Verb.RESTART, Verb.MONITOR_TRACE)),
    "agent": kind("agent", side_by_side=True),
}
KIND_OF = {"alpha": "thing", "beta": "agent", "gamma": "plain", "delta": "plain"}


def artifact(text: str) -> Artifact:
    """An artifact whose digest is that of a text."""
    return Artifact(digest=digest_of(text.encode()), size=1, file="file.tar")


def package(version: str) -> Package:
    """A package of that version."""
    return Package(digest=digest_of(version.encode()), size=1, file="p.tar.gz", name="p", version=version)


def document(*services: Service, revision: int = 1, removals: int = 10) -> Document:
    """A document of these services."""
    return Document(
        schema="towline.document/1",
        host="web-1",
        epoch=1,
        revision=revision,
        issued_at=NOW,
        expires_at=datetime(2027, 11, 23, tzinfo=UTC),
        origin=Origin(change="test"),
        bundle=artifact("bundle"),
        limits=Limits(removals=removals),
        services=tuple(sorted(services, key=lambda s: s.name)),
    )


def service(name: str = "alpha", **fields: object) -> Service:
    """A running service of kind `thing`, but for what is said."""
    version = str(fields.pop("version", "1.0"))
    packages = {"server": package(version)}
    return Service(**{"name": name, "kind": "thing", "version": version, "packages": packages, **fields})  # type: ignore[arg-type]


def secret(version: int = 1, *, name: str = "main", sealed: str = "c2VhbGVk") -> SealedSecret:
    """A version of a secret, as a document has it."""
    return SealedSecret(name=name, version=version, sealed=sealed)


class World:
    """Record and reality of one host; `run` does to both what each step's script would do."""

    def __init__(self) -> None:
        self.record: Record = {}
        self.state: dict[str, str] = {}
        self.config: dict[str, str] = {}
        self.version: dict[str, str] = {}
        """What runs, or would be started."""
        self.installed: dict[str, str] = {}
        self.runs_with: dict[str, str] = {}
        """The configuration that the process has read."""
        self.pid: dict[str, int] = {}
        self.next_pid = 100
        self.data: set[str] = set()
        self.stopped_with_effect: list[str] = []
        self.unsure = False
        """Each step was tried before, in vain."""

    def look(self, doc: Document) -> Observed:
        """What check_status of every service would say."""
        names = {s.name for s in doc.services} | self.record.keys()
        return {name: self._seen(name) for name in names}

    def _seen(self, name: str) -> Observation:
        state = self.state.get(name, "absent")
        up = state in ("running", "degraded")
        return Observation(
            service=name,
            state=state,  # type: ignore[arg-type]
            seen_at=NOW,
            version=self.version.get(name, "") if state != "absent" else "",
            config=self.config.get(name, ""),
            identity=Identity(boot_id="b", pid=self.pid[name], start_time=1) if up else None,
        )

    def run(self, doc: Document, plan: Plan, *, steps: int | None = None) -> None:
        """Runs the plan's first steps (all by default), then looks."""
        wanted = {s.name: s for s in doc.services}
        for step in plan.steps[:steps]:
            self._do(step, wanted[step.service])
        for name, seen in self.look(doc).items():
            if name in self.record:
                self.record[name] = after_look(self.record[name], seen)

    def _do(self, step: Step, wanted: Service) -> None:
        name, facts = step.service, {"changed": ("1",)}
        match step.verb:
            case Verb.INSTALL:
                facts["changed"] = (self._install(step, wanted),)
            case Verb.CONFIGURE:
                text = repr(sorted(with_defaults(wanted.parameters, KINDS[wanted.kind]).items()))
                before, self.config[name] = self.config.get(name), digest_of((wanted.version + text).encode())
                facts["changed"] = ("0" if self.config[name] == before else "1",)
                facts["config"] = (self.config[name],)
            case Verb.START | Verb.RESTART | Verb.TAKE_OVER:
                self.next_pid += 1
                self.state[name], self.pid[name] = "running", self.next_pid
                self.version[name] = self.installed.get(name, self.version.get(name, ""))
                self.runs_with[name] = self.config.get(name, "")
                self.data.add(name)
            case Verb.STOP:
                self.state[name] = "stopped"
            case Verb.UNINSTALL:
                assert self.state.get(name) not in ("running", "degraded"), "uninstalled while running"
                self.state[name] = "absent"
                self.config.pop(name, None)
            case Verb.RELEASE:
                self.state[name] = "absent"
            case Verb.PURGE:
                self.data.discard(name)
        answer = Answer(verb=step.verb, exit_code=0, facts=facts)
        self.record[name] = after_step(
            self.record.get(name),
            step,
            wanted=wanted,
            meta=KINDS[wanted.kind],
            answer=answer,
            revision=doc_revision(step),
            at=NOW,
            unsure=self.unsure,
        )

    def _install(self, step: Step, wanted: Service) -> str:
        """Puts the program in place; what it says of `changed`."""
        name, up = step.service, self.state.get(step.service) in ("running", "degraded")
        changed = self.installed.get(name) != wanted.version
        if step.keeps_running:
            assert self.version[name] == wanted.version, "another version under a running process"
        elif not KINDS[wanted.kind].side_by_side:
            assert not up, "installed under a running process"
        self.installed[name] = wanted.version
        if not up:
            self.state[name], self.version[name] = "stopped", wanted.version
        return "1" if changed else "0"


def doc_revision(_step: Step) -> int:
    """The simulated record does not look at revisions."""
    return 1


VALUES = st.sampled_from(["0", "1", 1, True])


@st.composite
def services(draw: st.DrawFn, name: str, earlier: tuple[str, ...]) -> Service:
    """Any service of that name; it may depend on those before it, so there is no circle."""
    state = draw(st.sampled_from(["running", "running", "stopped", "absent"]))
    return service(
        name,
        kind=KIND_OF[name],
        version=draw(st.sampled_from(["1.0", "2.0"])),
        state=state,
        purge=state == "absent" and draw(st.booleans()),
        parameters=draw(st.dictionaries(st.sampled_from([f"p_{e}" for e in Effect]), VALUES)),
        secrets=draw(st.sampled_from([{}, {"password": secret()}, {"password": secret(2)}])),
        depends_on=tuple(sorted(draw(st.sets(st.sampled_from(earlier))))) if earlier else (),
        monitoring=draw(st.sampled_from([{}, {"exporter": True}])),
    )


@st.composite
def documents(draw: st.DrawFn, revision: int = 1) -> Document:
    """Any document of up to four services."""
    names = sorted(draw(st.sets(st.sampled_from(NAMES))))
    drawn = [draw(services(name, tuple(names[:i]))) for i, name in enumerate(names)]
    return document(*drawn, revision=revision)


DAMAGES = ("kill", "edit", "remove", "start", "other_version", "degrade", "lose_record")


def damage(world: World, name: str, how: str) -> None:
    """What the world does to a service between two passes."""
    state = world.state.get(name, "absent")
    if how == "kill" and state in ("running", "degraded"):
        world.state[name] = "stopped"
    elif how == "edit" and name in world.config:
        world.config[name] = digest_of(b"edited by hand")
    elif how == "remove":
        world.state[name] = "absent"
        world.config.pop(name, None)
    elif how == "start" and state == "stopped":
        world.next_pid += 1
        world.state[name], world.pid[name] = "running", world.next_pid
        world.runs_with[name] = world.config.get(name, "")
    elif how == "other_version" and state != "absent":
        world.version[name] = world.installed[name] = "0.9"
    elif how == "degrade" and state == "running":
        world.state[name] = "degraded"
    elif how == "lose_record":
        world.record.pop(name, None)
