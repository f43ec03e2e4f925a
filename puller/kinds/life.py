"""Checks of a whole life, in its order, each going on where the one before has ended."""

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from desired_state.answer import Answer, identity_of
from desired_state.contract import Exit, Verb
from desired_state.names import ParameterName
from desired_state.observed import Identity
from puller.kinds.empty_host import done, told
from puller.kinds.scratch import NOTHING, Fault, LeftOut, Scratch
from puller.kinds.traces import Tree, running_below, tree

KEPT = Path("data/kept-by-check")
_STATE = {"running": Exit.DONE, "stopped": Exit.STOPPED, "absent": Exit.NOT_INSTALLED}


async def install(scratch: Scratch) -> str:
    """It brings the version in place."""
    return await _twice(scratch, Verb.INSTALL, "stopped")


async def configure(scratch: Scratch) -> str:
    """It says the digest that `check_status` will print."""
    said = await _twice(scratch, Verb.CONFIGURE, "stopped")
    config = done(await scratch.call(Verb.CONFIGURE)).fact("config")
    seen = (await _look(scratch, "stopped")).fact("config")
    if config != seen:
        raise Fault(f"configure said config={config}, check_status says config={seen or '(nothing)'}")
    return said


async def start(scratch: Scratch) -> str:
    """It waits until the service is healthy."""
    said = await _twice(scratch, Verb.START, "running")
    version = (await _look(scratch, "running")).fact("version")
    if version != scratch.given.version:
        raise Fault(f"check_status says version={version or '(nothing)'}, installed was {scratch.given.version}")
    return said


async def looking(scratch: Scratch) -> str:
    """`check_status` and `discover` say the same again and change nothing, whatever is asked of the service's log."""
    verbs = [verb for verb in (Verb.CHECK_STATUS, Verb.DISCOVER) if scratch.known.has(verb)]
    before = _without_logs(tree(scratch.root))
    for verb in verbs:
        first, second = await scratch.call(verb), await scratch.call(verb)
        if verb is Verb.DISCOVER:
            done(first)
        elif first.facts != second.facts:
            raise Fault(f"{verb} says one thing and then another: {_differ(first, second)}")
    after = _without_logs(tree(scratch.root))
    if before != after:
        raise Fault(f"changed {', '.join(sorted(p for p in before | after if before.get(p) != after.get(p))[:5])}")
    return f"{' and '.join(verbs)} change nothing"


async def again(scratch: Scratch) -> str:
    """Under what runs, `install` and `configure` have nothing to do, as after a record that was lost."""
    before = identity_of(await _look(scratch, "running"))
    for verb in (Verb.INSTALL, Verb.CONFIGURE):
        if done(await scratch.call(verb)).changed is not False:
            raise Fault(f"{verb} of what runs as it was installed should say changed=0")
    if before != identity_of(await _look(scratch, "running")):
        raise Fault("the process is not the one from before")
    return "install and configure change nothing under what runs"


async def secrecy(scratch: Scratch) -> str:
    """No secret in what a call prints, in a command line, or in an environment."""
    if not scratch.secrets:
        raise LeftOut("the kind has no secrets")
    identity = identity_of(await _look(scratch, "running"))
    places: set[str] = set()
    for name, value in scratch.secrets.items():
        secret = value.strip()
        printed = next((output.verb for output in scratch.outputs if secret in output.data), None)
        if printed:
            raise Fault(f"{printed} printed the secret {name}")
        if identity and (shown := _shows(identity.pid, secret)):
            raise Fault(f"the secret {name} stands in the {shown} of process {identity.pid}")
        places |= {str(p.relative_to(scratch.root)) for p in scratch.root.rglob("*") if _holds(p, secret)}
    return f"on disk in {', '.join(sorted(places)) or 'no file as it is'}, and nowhere else"


async def killed(scratch: Scratch) -> str:
    """SIGKILL from outside is seen, and `start` brings the service back."""
    identity = await _process(scratch)
    os.kill(identity.pid, signal.SIGKILL)
    gone = await _look(scratch, "stopped")
    if not (gone.fact("reason") or gone.reason):
        raise Fault("check_status gives no reason for a process that is gone")
    if done(await scratch.call(Verb.START)).changed is not True:
        raise Fault("start said changed=0 although nothing ran")
    if identity == identity_of(await _look(scratch, "running")):
        raise Fault("check_status still names the process that was killed")
    return "seen as stopped, and started again"


async def restart(scratch: Scratch) -> str:
    """Another process, and healthy."""
    _need(scratch, Verb.RESTART)
    before = await _process(scratch)
    done(await scratch.call(Verb.RESTART))
    if before == await _process(scratch):
        raise Fault("the process is the one from before")
    return "another process, and healthy"


async def reload(scratch: Scratch) -> str:
    """The process stays."""
    _need(scratch, Verb.RELOAD)
    before = identity_of(await _look(scratch, "running"))
    done(await scratch.call(Verb.RELOAD))
    if before != identity_of(await _look(scratch, "running")):
        raise Fault("the process is not the one from before")
    return "the same process, and healthy"


async def monitoring(scratch: Scratch) -> str:
    """`monitor_trace` wires what is declared, takes it out where nothing is, and leaves the service alone."""
    async with _wiring(scratch) as values:
        before = await _look(scratch, "running")
        await _traced_twice(scratch, values)
        await _traced_twice(scratch, NOTHING)
        await _trace(scratch, values, changed=True, when="once it was taken out")
        after = await _look(scratch, "running")
        if before.facts != after.facts:
            raise Fault(f"the service is another one than before: {_differ(before, after)}")
    return "wired, and taken out; a second time changes nothing; the service never notices"


async def unwired(scratch: Scratch) -> str:
    """With `uninstall` the wiring goes too, so what is brought here anew is wired anew."""
    async with _wiring(scratch) as values:
        await _trace(scratch, values, changed=True, when="while nothing is wired")
        for verb in (Verb.UNINSTALL, Verb.INSTALL, Verb.CONFIGURE):
            done(await scratch.call(verb))
        await _trace(scratch, values, changed=True, when="after uninstall and install")
    return "uninstall takes it out, and it is wired anew"


async def stop(scratch: Scratch) -> str:
    """Nothing of it runs any more."""
    said = await _twice(scratch, Verb.STOP, "stopped")
    left = running_below(scratch.prefix)
    if left:
        raise Fault(f"processes still run: {', '.join(map(str, left))}")
    return said


async def uninstall(scratch: Scratch) -> str:
    """Program and configuration go, the data stays."""
    kept = scratch.root / KEPT
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_text("kept")
    said = await _twice(scratch, Verb.UNINSTALL, "absent")
    if not kept.is_file():
        raise Fault(f"{KEPT.parent}/ is gone: uninstall never deletes data, that is purge")
    packages = list((scratch.prefix / "packages").iterdir())
    if packages:
        raise Fault(f"packages/{packages[0].name} is still there, and no service uses it")
    return f"{said}; the data is there"


async def purge(scratch: Scratch) -> str:
    """Nothing is left."""
    _need(scratch, Verb.PURGE)
    said = await _twice(scratch, Verb.PURGE, "absent")
    left = sorted(tree(scratch.prefix / "services"))
    if left:
        raise Fault(f"left services/{left[0]}")
    return f"{said}; nothing is left"


async def _twice(scratch: Scratch, verb: Verb, state: str) -> str:
    """The first call changes something, the second one nothing; each leaves the state."""
    for changed in (True, False):
        answer = done(await scratch.call(verb))
        if answer.changed is not changed:
            which = "first" if changed else "second"
            raise Fault(f"the {which} call should say changed={int(changed)}, it said changed={int(not changed)}")
        await _look(scratch, state)
    return f"{state}; a second time changes nothing"


@asynccontextmanager
async def _wiring(scratch: Scratch) -> AsyncIterator[Mapping[ParameterName, str]]:
    """The values to wire with. In the end nothing is wired, whatever was found: it lies outside the scratch folder."""
    _need(scratch, Verb.MONITOR_TRACE)
    values = scratch.given.monitoring
    lacking = [value.name for value in scratch.known.monitoring if value.required and value.name not in values]
    if lacking or not values:
        wanted = lacking or [scratch.known.monitoring[0].name]
        options = " ".join(f"--monitoring {name}=VALUE" for name in wanted)
        raise LeftOut(f"needs {options}; it then writes outside the scratch folder, as on any host")
    try:
        yield values
    finally:
        with suppress(Fault):  # the one that is under way says more
            await scratch.call(Verb.MONITOR_TRACE)


async def _traced_twice(scratch: Scratch, values: Mapping[ParameterName, str]) -> None:
    await _trace(scratch, values, changed=True, when="the first time")
    await _trace(scratch, values, changed=False, when="the second time")


async def _trace(scratch: Scratch, values: Mapping[ParameterName, str], *, changed: bool, when: str) -> None:
    """One call with these values, and whether it should have changed something."""
    answer = done(await scratch.call(Verb.MONITOR_TRACE, monitoring=values))
    if answer.changed is not changed:
        declared = ", ".join(f"{name}={value}" for name, value in values.items()) or "nothing under monitoring"
        said = f"should say changed={int(changed)}, it said changed={int(not changed)}"
        raise Fault(f"monitor_trace with {declared}, {when}, {said}")


async def _look(scratch: Scratch, state: str) -> Answer:
    answer = await scratch.call(Verb.CHECK_STATUS)
    if answer.exit_code != _STATE[state]:
        raise Fault(f"check_status should say {state}, it says {answer.fact('state') or 'nothing'} and {told(answer)}")
    return answer


async def _process(scratch: Scratch) -> Identity:
    identity = identity_of(await _look(scratch, "running"))
    if identity is None:
        raise LeftOut("the kind has no process")
    return identity


def _need(scratch: Scratch, verb: Verb) -> None:
    if not scratch.known.has(verb):
        raise LeftOut(f"the kind has no {verb}")


def _without_logs(found: Tree) -> Tree:
    """What the service itself writes, there and only there, is not the doing of whoever looks."""
    return {path: what for path, what in found.items() if not path.startswith(("log/", "data/"))}


def _differ(first: Answer, second: Answer) -> str:
    names = sorted({*first.facts, *second.facts})
    return ", ".join(name for name in names if first.facts.get(name) != second.facts.get(name))


def _shows(pid: int, secret: bytes) -> str:
    """Which of what a process shows to others holds the secret; empty where none does."""
    return next((name for name in ("cmdline", "environ") if secret in Path(f"/proc/{pid}/{name}").read_bytes()), "")


def _holds(path: Path, secret: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and secret in path.read_bytes()
