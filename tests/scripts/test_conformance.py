"""What every kind must do, whatever it drives. A script dropped into scripts/ joins by itself; its case is one file."""

import os
import random
import re
import shutil
import subprocess
import threading
import time
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from api.publish.archive_layout import layout_of
from desired_state.contract import KindMeta, Parameter
from puller.kinds.hostile import hostile_values
from puller.kinds.traces import running_below, tree
from tests.scripts.calling import KINDS, SCRIPTS, Service, eventually
from tests.scripts.kinds.case import case_of, has_software, real_service
from tests.servers.process import free_port

HOSTS_OWN = {"metrics"}
"""Folders below the prefix that belong to the host, not to a service: they stay."""
KILLS = int(os.environ.get("TOWLINE_TEST_KILLS", "3"))
"""At how many random moments each verb is killed; `nox -s conformance` has 20."""
HOSTILE = int(os.environ.get("TOWLINE_TEST_HOSTILE", "0"))
"""So many hostile values at least; `nox -s conformance` has 400."""
REAL = bool(os.environ.get("TOWLINE_TEST_REAL"))
"""On the real software where the tests of every day take a stand-in; `nox -s conformance -- --real` does."""
pytestmark = pytest.mark.parametrize("kind", KINDS)


def meta_of(kind: str) -> KindMeta:
    said = subprocess.run(
        ["/bin/bash", str(SCRIPTS / f"{kind}ctl.sh"), "meta"], env={}, capture_output=True, check=True, timeout=30
    )
    return msgspec.json.decode(said.stdout, type=KindMeta)


def made(kind: str, folder: Path, name: str = "one", **changes: str) -> Service:
    if REAL and has_software(kind):
        service = real_service(kind, folder, name)
        service.parameters |= changes
        return service
    case = case_of(kind)
    service = Service(
        kind=kind,
        name=name,
        folder=folder,
        version=case.version,
        packages=case.packages(),
        parameters={**case.parameters(free_port()), **changes},
        secrets=case.secrets,
    )
    case.prepare(service)
    return service


def one_per_host(kind: str) -> None:
    """Leaves out what makes no sense for a kind that a document neither stops nor removes."""
    if why := case_of(kind).stays:
        pytest.skip(f"{kind}: {why}")


def test_meta_fits_the_contract(kind: str) -> None:
    """`meta` needs no environment and fits the schema of the contract."""
    meta = meta_of(kind)
    assert kind == meta.kind
    assert meta.required_verbs <= meta.verbs.keys()
    assert set() == {*meta.ports, *(page.port for page in meta.metrics)} - {p.name for p in meta.parameters}


def test_its_packages_hold_what_meta_says(kind: str) -> None:
    """`towline package add --kind` finds in each of them what the kind runs."""
    roles = {role.role: role.holds for role in meta_of(kind).packages}
    for role, package in case_of(kind).packages().items():
        assert () == layout_of(package.path, roles[role]).problems


def test_meta_needs_no_privileges(kind: str, folder: Path) -> None:
    """`meta` runs as nobody."""
    if os.geteuid() != 0:
        pytest.skip("is nobody special already")
    folder.chmod(0o755)
    bundle = folder / "bundle"
    subprocess.run(["cp", "-r", str(SCRIPTS), str(bundle)], check=True)
    subprocess.run(["chmod", "-R", "a+rX", str(bundle)], check=True)
    command = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "bash",
        str(bundle / f"{kind}ctl.sh"),
        "meta",
    ]
    said = subprocess.run(command, capture_output=True, check=True, timeout=30)
    assert meta_of(kind) == msgspec.json.decode(said.stdout, type=KindMeta)


def test_an_empty_host_is_absent_and_stays_empty(kind: str, folder: Path) -> None:
    """`check_status` works when nothing is installed, and makes nothing."""
    service = made(kind, folder)
    before = tree(service.prefix)
    said = service.status()
    assert (5, "absent") == (said.code, said.facts["state"])
    assert before == tree(service.prefix)


def test_a_whole_life(kind: str, folder: Path) -> None:
    """Each verb reaches its state, a second time changes nothing, looking changes nothing, uninstall keeps the data."""
    service = made(kind, folder)
    for verb, state in (("install", "stopped"), ("configure", "stopped"), ("start", "running")):
        assert ("1", "0") == (service.do(verb).changed, service.do(verb).changed), verb
        assert state == service.state_now()
    before, first, second = tree(service.root), service.status(), service.status()
    assert first.out == second.out
    assert _still(kind, before) == _still(kind, tree(service.root))
    assert service.version == first.facts["version"]
    assert [first.facts["config"]] == service.do("configure").all("config")
    if case_of(kind).stays:
        _stays(service)
        return
    again = service.do("restart", "check_status")
    if case_of(kind).process:
        assert service.parameters["port"] in first.all("port")
        assert first.identity != again.identity
    else:
        assert {"pid", "port"}.isdisjoint(first.facts)
    assert ("1", "0") == (service.do("stop").changed, service.do("stop").changed)
    assert (7, "stopped") == (service.status().code, service.state_now())
    kept = service.root / case_of(kind).data
    kept.parent.mkdir(exist_ok=True)
    kept.write_text("kept")
    assert ("1", "0") == (service.do("uninstall").changed, service.do("uninstall").changed)
    assert (5, "kept") == (service.status().code, kept.read_text())
    assert {"packages", "services"} == {p.name for p in service.prefix.iterdir() if p.is_dir()} - HOSTS_OWN
    assert [] == list((service.prefix / "packages").iterdir())
    assert ("1", "0") == (service.do("purge").changed, service.do("purge").changed)
    assert [] == list((service.prefix / "services").iterdir())


def _stays(service: Service) -> None:
    """What no document stops or removes: refused with words, and it runs on as it was."""
    identity = service.status().identity
    assert ("0", identity) == (service.do("restart").changed, service.status().identity)
    for verb in ("stop", "uninstall", "purge"):
        said = service.call(verb)
        assert (6, True) == (said.code, "not stopped or removed by a document" in said.reason), verb
    assert (identity, "running") == (service.status().identity, service.state_now())


def test_what_runs_may_be_installed_and_configured_again(kind: str, folder: Path) -> None:
    """Under a running process, as after a record that was lost: nothing changes, and the process never notices."""
    service = made(kind, folder)
    service.do("install", "configure", "start")
    before = service.status().out
    assert ("0", "0") == (service.do("install").changed, service.do("configure").changed)
    assert (before, "running") == (service.status().out, service.state_now())


def test_the_config_digest_is_the_contracts(kind: str, folder: Path) -> None:
    """`config` is what the puller computes itself from the `watch` lines, and tells an edit by hand."""
    service = made(kind, folder)
    service.do("install", "configure")
    said = service.status()
    watched = [Path(path) for path in said.all("watch")]
    hashes = [_sha256(path.read_bytes()) if path.exists() else "missing" for path in watched]
    assert "sha256:" + _sha256("".join(f"{line}\n" for line in hashes).encode()) == said.facts["config"]
    watched[0].write_bytes(watched[0].read_bytes() + b"\n")
    assert said.facts["config"] != service.status().facts["config"]
    assert said.facts["config"] == service.do("configure").facts["config"]


def test_an_edit_by_hand_is_told_by_its_key(kind: str, folder: Path) -> None:
    """Each file: what was put into it is told, what is secret is not; and configure takes it back."""
    service = made(kind, folder)
    service.do("install", "configure")
    before = service.status()
    assert [] == before.all("drift")
    for watched in map(Path, before.all("watch")):
        if not watched.is_file():
            continue
        was = watched.read_bytes()
        watched.write_bytes(was.removesuffix(b"\n") + b"\nby_hand=7\nhand_password=typed-by-hand\n")
        told = service.status()
        assert told.all("drift") != [], told.out
        assert [] == [line for line in told.all("drift") if not str(watched).endswith("/" + line.split(": ")[0])]
        assert [] == [
            text for text in ("typed-by-hand", *case_of(kind).secrets.values()) if text in told.out + told.err
        ]
        assert before.out == _without_drift(told.out, before.facts["config"])
        service.do("configure")
        assert (before.out, was) == (service.status().out, watched.read_bytes())


def _without_drift(out: str, config: str) -> str:
    """What is left of an answer when the configuration is as it was."""
    kept = [line for line in out.splitlines() if not line.startswith("drift=")]
    return "".join(f"config={config}\n" if line.startswith("config=") else f"{line}\n" for line in kept)


def test_a_bad_parameter_is_refused_before_anything_is_touched(kind: str, folder: Path) -> None:
    """Exit 6 and a reason that names the parameter, for install and for configure."""
    for name, value in case_of(kind).bad:
        service = made(kind, folder, **{name: value})
        if name != "extra":  # what only the program itself can judge is judged when it is there
            said = service.call("install")
            assert (6, True) == (said.code, f"parameter {name}: " in said.reason), f"{name}={value!r}: {said.reason}"
            assert not service.root.exists()
    service = made(kind, folder)
    service.do("install", "configure")
    before = tree(service.root)
    for name, value in case_of(kind).bad:
        bad = service.changed(parameters={**service.parameters, name: value})
        said = bad.call("configure")
        assert 6 == said.code, f"{name}={value!r}: {said.reason}"
        assert said.reason != ""
        assert _contents(before) == _contents(tree(service.root))


def test_all_problems_are_told_at_once(kind: str, folder: Path) -> None:
    """Two bad parameters are both in the reason."""
    (first, bad), (second, worse) = case_of(kind).bad[0], case_of(kind).bad[-1]
    said = made(kind, folder, **{first: bad, second: worse}).call("install")
    assert (6, True, True) == (said.code, f"parameter {first}: " in said.reason, f"parameter {second}: " in said.reason)


def test_hostile_values_arrive_as_they_are_or_are_refused(kind: str, folder: Path) -> None:
    """No value of a document becomes code, whatever parameter it stands in."""
    service = made(kind, folder)
    service.do("install")
    canary = folder / "canary"
    before = set(running_below(folder))
    for parameter, value in _hostile_pairs(kind, canary):
        if parameter.type == "secret":
            changed = service.changed(secrets={parameter.name: value})
        else:
            changed = service.changed(parameters={**service.parameters, parameter.name: value})
        said = changed.call("configure")
        where = f"{parameter.name}={value[:60]!r}: {said.reason}"
        assert said.code in (0, 6), where
        assert not canary.exists(), where
        if said.code == 6:
            assert said.reason != "", where
            continue
        if parameter.type != "secret" and value != "" and not case_of(kind).stays:
            assert value.removesuffix("\n") == _recorded(service, parameter.name).removesuffix("\n"), where
        if read := case_of(kind).arrives.get(parameter.name):
            assert value.removesuffix("\n") == read(service).removesuffix("\n"), where
    assert before == set(running_below(folder))


def _hostile_pairs(kind: str, canary: Path) -> list[tuple[Parameter, str]]:
    """Every value for what takes free text, some for the rest; more of them, mixed, where more are asked for."""
    values, parameters = hostile_values(canary), meta_of(kind).parameters
    free = ("string", "text", "secret", "path")
    pairs = [(one, value) for one in parameters for value in values[:: 1 if HOSTILE or one.type in free else 12]]
    chance = random.Random(f"{os.environ.get('TOWLINE_TEST_SEED', '7')}-{kind}")
    short = [value for value in values if len(value) < 100]
    while parameters and len(pairs) < HOSTILE:
        mixed = "".join(chance.choice(short) for _ in range(chance.randint(2, 4)))
        pairs.append((chance.choice(parameters), mixed))
    return pairs


def _recorded(service: Service, name: str) -> str:
    """The value that configure wrote down, for verbs that are not told it."""
    lines = (service.root / "run/parameters").read_bytes().decode("utf-8", "surrogateescape").split("\n")
    text = next(line.partition("=")[2] for line in lines if line.startswith(f"{name}="))
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def test_a_killed_call_is_repeated_and_reaches_its_state(kind: str, folder: Path) -> None:
    """Whatever moment a changing verb is killed at, looking works, and the same call again does it."""
    seed = int(os.environ.get("TOWLINE_TEST_SEED", "7"))
    chance = random.Random(f"{seed}-{kind}")
    life = (("install", "stopped"), ("configure", "stopped"), ("start", "running"), ("restart", "running"))
    if case_of(kind).stays:
        _kill_without_removal(kind, folder, life, chance)
        return
    service = made(kind, folder)
    for verb, state in (*life, ("stop", "stopped"), ("uninstall", "absent"), ("purge", "absent")):
        took = 0.25 if verb != "install" else 0.8
        for turn in range(KILLS):
            _set_back(service, verb)
            moment = chance.uniform(0, took)
            # A repeated call may have less to do than a first one: the longest that was seen is about a whole one.
            took = max(took, _kill_and_repeat(service, verb, moment))
            # What really has to form or to load answers first, and is well a little later.
            reached = eventually(60 if REAL else 0, lambda state=state: state == service.state_now())
            assert reached, f"{verb}, seed {seed}, turn {turn}, killed after {moment:.3f} s: {service.status()}"
    assert [] == list((service.prefix / "services").iterdir())


def _kill_without_removal(kind: str, folder: Path, life: tuple[tuple[str, str], ...], chance: random.Random) -> None:
    """On a host of its own each time, since there is no way back."""
    for number, (verb, state) in enumerate(life):
        for turn in range(KILLS):
            service = made(kind, folder / f"{verb}-{turn}")
            for before, _ in life[:number]:
                service.do(before)
            _kill_and_repeat(service, verb, chance.uniform(0, 0.3))
            assert state == service.state_now(), verb


def _set_back(service: Service, verb: str) -> None:
    """To where that verb has something to do."""
    if verb == "install":
        service.do("uninstall")
    elif verb == "start":
        service.do("stop")
    elif verb in ("stop", "uninstall"):
        service.do("install", "configure", "start")
    elif verb == "purge":
        service.do("install", "configure", "uninstall")


def _kill_and_repeat(service: Service, verb: str, seconds: float) -> float:
    """How long the repeated call took, in seconds."""
    service.begin(verb).kill_after(seconds)
    assert service.status().code in (0, 5, 7, 190)
    began = time.monotonic()
    service.do(verb)
    return time.monotonic() - began


def test_a_secret_appears_nowhere(kind: str, folder: Path) -> None:
    """Not in output, not in a command line, not in an environment, not in a file but the one that needs it."""
    case = case_of(kind)
    if not case.secrets:
        assert not [p for p in meta_of(kind).parameters if p.type == "secret"]
        return
    service = made(kind, folder)
    service.do("install")
    with Watcher(tuple(text.encode() for text in case.secrets.values())) as watcher:
        outputs = [service.do(verb) for verb in ("configure", "start", "check_status", "restart", "check_status")]
    assert [] == watcher.seen
    pid = service.process()
    held = Path(f"/proc/{pid}/environ").read_bytes() + Path(f"/proc/{pid}/cmdline").read_bytes()
    for text in case.secrets.values():
        secret = text.encode()
        assert all(secret not in (said.out + said.err).encode() for said in outputs)
        assert secret not in held
        places = {str(p.relative_to(service.root)) for p in service.root.rglob("*") if _holds(p, text)}
        assert places <= case.secret_files
    service.do("stop", "uninstall")
    assert {} == {p: 1 for p in service.root.rglob("*") for text in case.secrets.values() if _holds(p, text)}


def test_what_is_left_running_holds_nothing_of_the_call(kind: str, folder: Path) -> None:
    """Neither the call's output files nor TOWLINE_STEP, and it leads its own session."""
    service = made(kind, folder)
    service.do("install", "configure", "start")
    if not case_of(kind).process:
        assert [] == running_below(folder)
        return
    pid = service.process()
    held = {str(fd.readlink()) for fd in Path(f"/proc/{pid}/fd").iterdir() if fd.is_symlink()}
    its_own = tuple(f"{service.root}/{folder}" for folder in case_of(kind).own_writing)
    left = {path for path in held if not path.startswith(its_own)}
    assert set() == {path for path in left if path.startswith(str(service.scratch)) or path.endswith(".lock")}
    assert b"TOWLINE_" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert pid == os.getsid(pid)


def test_two_services_of_one_kind_do_not_meet(kind: str, folder: Path) -> None:
    """One is stopped, changed, removed and purged; the other one runs on, from the program that both shared."""
    one_per_host(kind)
    one, two = made(kind, folder, "one"), made(kind, folder, "two")
    for service in (one, two):
        service.do("install", "configure", "start")
    untouched, seen = tree(two.root / "etc"), two.status().out
    one.do("restart", "stop", "uninstall", "purge")
    assert (seen, "running") == (two.status().out, two.state_now())
    assert untouched == tree(two.root / "etc")
    assert (two.root / "current").resolve().is_dir()
    two.do("stop", "uninstall", "purge")


def test_a_dead_service_is_seen_and_started_again(kind: str, folder: Path) -> None:
    """SIGKILL from outside: check_status says stopped and why; start brings it back. Without a process, its files."""
    service = made(kind, folder)
    service.do("install", "configure", "start")
    if not case_of(kind).process:
        shutil.rmtree((service.root / "current").resolve())
        assert "absent" == service.state_now()
        assert ("1", "running") == (service.do("install", "start").changed, service.state_now())
        return
    pid = service.process()
    os.kill(pid, 9)
    said = service.status()
    assert (7, True) == (said.code, "gone" in said.reason)
    assert "1" == service.do("start").changed
    assert pid != service.process()


def test_without_its_package_nothing_is_installed(kind: str, folder: Path) -> None:
    """A package that is no archive, or that leads out, is refused and leaves no folder."""
    service = made(kind, folder)
    role = next(iter(service.packages))
    broken = folder / "broken-1.tar.gz"
    broken.write_bytes(b"this is no archive")
    service.packages[role] = msgspec.structs.replace(service.packages[role], path=broken)
    said = service.call("install")
    assert (6, True) == (said.code, "archive" in said.reason)
    assert [] == [p for p in (service.prefix / "packages").iterdir() if (p / ".towline-package").exists()]
    assert "absent" == service.state_now()


def test_an_unsupported_version_is_refused(kind: str, folder: Path) -> None:
    """A version that meta does not name is the document's mistake."""
    if not meta_of(kind).versions:
        return
    service = made(kind, folder)
    service.version = "0.0.1"
    assert (6, True) == ((said := service.call("install")).code, "not supported" in said.reason)


def test_by_hand_the_recorded_parameters_are_used(kind: str, folder: Path) -> None:
    """In a terminal, a script takes the service and the prefix as arguments."""
    service = made(kind, folder)
    service.do("install", "configure", "start")
    command = ["bash", f"{kind}ctl.sh", "check_status", "one", "--prefix", str(service.prefix)]
    if not case_of(kind).stays:
        said = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=30, check=False)
        assert (0, service.status().out) == (said.returncode, said.stdout)
    usage = subprocess.run(command[:2], cwd=SCRIPTS, capture_output=True, text=True, timeout=30, check=False)
    assert (2, True) == (usage.returncode, usage.stderr.startswith("usage: "))


def test_an_unknown_verb_is_not_implemented(kind: str, folder: Path) -> None:
    """Exit 3, so that the caller can tell it from a failure."""
    assert 3 == made(kind, folder).begin("dance").wait().code
    assert 3 == made(kind, folder).begin("the_service").wait().code


class Watcher(threading.Thread):
    """Reads all command lines and environments while calls run."""

    def __init__(self, secrets: tuple[bytes, ...]) -> None:
        super().__init__(daemon=True)
        self.secrets, self.over = secrets, threading.Event()
        self.seen: list[str] = []

    def __enter__(self) -> "Watcher":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.join()

    def run(self) -> None:
        """Until told to end."""
        while not self.over.is_set():
            pids = [name for name in os.listdir("/proc") if name.isdigit()]
            for path in (Path("/proc", pid, file) for pid in pids for file in ("cmdline", "environ")):
                try:
                    held = path.read_bytes()
                except OSError:  # gone meanwhile
                    continue
                self.seen += [str(path) for secret in self.secrets if secret in held]


def _contents(found: dict[str, tuple[int, int, str]]) -> dict[str, str]:
    return {path: content for path, (_, _, content) in found.items() if path != "etc"}


def _still(kind: str, found: dict[str, tuple[int, int, str]]) -> dict[str, tuple[int, int, str]]:
    """What the service itself writes, about being asked too, is not the script's doing."""
    busy = case_of(kind).own_writing
    return {path: what for path, what in found.items() if not f"{path}/".startswith(busy)}


def _sha256(data: bytes) -> str:
    return sha256(data).hexdigest()


def _holds(path: Path, text: str) -> bool:
    """As it is, or in one of the ways that a configuration writes it."""
    if path.is_symlink() or not path.is_file():
        return False
    data = path.read_bytes()
    return text.encode() in data or text.replace("\\", "\\\\").replace('"', '\\"').encode() in data
