"""Checks on a host where nothing is installed: what the script says of itself, what it sees, what it refuses."""

import re
from pathlib import Path

import msgspec

from desired_state.answer import Answer
from desired_state.contract import Exit, KindMeta, Parameter, Verb
from desired_state.meta_problems import meta_problems
from puller.kinds.hostile import hostile_values
from puller.kinds.scratch import META_TIMEOUT_S, Fault, LeftOut, Scratch
from puller.kinds.traces import tree

FREE = ("string", "text", "secret", "path")
"""Types that take nearly any text: they meet every hostile value, the others every fourth."""
NO_VERSION = "no-such-version"


async def meta(scratch: Scratch) -> str:
    """It needs no environment, fits the contract, and holds together."""
    ended = await scratch.ask_meta()
    if ended.timed_out:
        raise Fault(f"did not answer within {META_TIMEOUT_S} s")
    if ended.exit_code:
        said = ended.stderr.decode(errors="replace").strip()[-500:]
        raise Fault(f"ended with exit code {ended.exit_code}: {said}")
    try:
        told = msgspec.json.decode(ended.stdout, type=KindMeta)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Fault(f"does not fit the contract: {error}") from error
    problems = meta_problems(told, scratch.given.kind)
    if problems:
        raise Fault("\n".join(problems))
    scratch.meta = told
    return f"{len(told.parameters)} parameters, {len(told.verbs)} verbs, with an empty environment"


async def nothing_there(scratch: Scratch) -> str:
    """`check_status` works when nothing is installed, and makes nothing."""
    answer = await scratch.call(Verb.CHECK_STATUS)
    if answer.exit_code != Exit.NOT_INSTALLED:
        raise Fault(f"check_status should end with 5 and state=absent; {told(answer)}")
    made = tree(scratch.prefix)
    if made:
        raise Fault(f"check_status made {', '.join(sorted(made)[:5])}")
    return "absent, and nothing was made"


async def unsupported(scratch: Scratch) -> str:
    """A version that `meta` does not name is the document's mistake."""
    if not scratch.known.versions:
        raise LeftOut("meta names no versions: any will do")
    answer = await scratch.beside("unsupported").call(Verb.INSTALL, version=NO_VERSION)
    _refused(answer, f"install of the version {NO_VERSION}")
    return "refused"


async def hostile(scratch: Scratch) -> str:
    """No value of a document becomes code: it is refused with 6 and a reason, or recorded byte by byte."""
    if scratch.lacking_parameters:
        raise LeftOut(f"needs {scratch.lacking_parameters}")
    host = scratch.beside("hostile")
    installed = not scratch.lacking
    if installed:
        done(await host.call(Verb.INSTALL))
    values = list(_values(scratch.known, canary := host.folder / "canary"))
    refused = taken = 0
    for number, (parameter, value) in enumerate(values, start=1):
        scratch.progress(f"{number} of {len(values)}")
        answer = await _configured(host, parameter, value)
        where = f"{parameter.name}={value[:60]!r}"
        if canary.exists():
            raise Fault(f"{where} was run as a command")
        if answer.exit_code == Exit.DONE:
            taken += 1
            _recorded(host, parameter, value, where)
        elif installed or answer.exit_code != Exit.NOT_INSTALLED:
            refused += 1
            _refused(answer, where)
    unjudged = f", {len(values) - taken - refused} not judged without packages" if len(values) > taken + refused else ""
    return f"{len(values)} values: {refused} refused, {taken} taken as they are{unjudged}"


def _values(known: KindMeta, canary: Path) -> list[tuple[Parameter, str]]:
    every = hostile_values(canary)
    return [(p, value) for p in known.parameters for value in every[:: 1 if p.type in FREE else 4]]


async def _configured(host: Scratch, parameter: Parameter, value: str) -> Answer:
    if parameter.type == "secret":
        return await host.call(Verb.CONFIGURE, secret={parameter.name: value.encode()})
    return await host.call(Verb.CONFIGURE, parameters={**host.parameters, parameter.name: value})


def _recorded(host: Scratch, parameter: Parameter, value: str, where: str) -> None:
    """As `run/parameters` has it, where the kind records them; secrets never stand there."""
    record = host.root / "run" / "parameters"
    if parameter.type == "secret" or not record.is_file():
        return
    lines = dict(line.partition("=")[::2] for line in record.read_text(encoding="utf-8").split("\n"))
    text = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], lines.get(parameter.name, ""))
    if text != value:
        raise Fault(f"{where} arrived as {text[:60]!r}")


def _refused(answer: Answer, what: str) -> None:
    if answer.exit_code != Exit.DOCUMENT_WRONG or not answer.reason:
        raise Fault(f"{what} should be refused with 6 and a reason; {told(answer)}")


def done(answer: Answer) -> Answer:
    """The answer of a call that must succeed."""
    if not answer.done:
        raise Fault(f"{answer.verb} {told(answer)}")
    return answer


def told(answer: Answer) -> str:
    """What a call answered, in one line."""
    reason = answer.reason or answer.fact("reason")
    return f"ended with exit code {answer.exit_code}" + (f": {reason}" if reason else ", without a reason")
