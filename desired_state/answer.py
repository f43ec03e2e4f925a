"""Reading what a script answered. An exit code alone is never believed: success has its own line."""

from datetime import datetime

from msgspec import Struct

from desired_state.contract import READING, Exit, Verb
from desired_state.names import DIGEST_PATTERN, is_name
from desired_state.observed import Identity, Observation, Seen

MAX_STDOUT = 64 * 1024
MAX_REASON = 500
MAX_DRIFT, MAX_DRIFT_CHARS = 20, 200
_STATES: dict[str, tuple[Seen, int]] = {
    "running": ("running", Exit.DONE),
    "stopped": ("stopped", Exit.STOPPED),
    "absent": ("absent", Exit.NOT_INSTALLED),
    "degraded": ("degraded", Exit.DEGRADED),
}


class Answer(Struct, frozen=True, kw_only=True):
    """One call of a script, as it can be believed. `fault` says how the script broke its contract, if it did."""

    verb: Verb
    exit_code: int
    facts: dict[str, tuple[str, ...]]
    reason: str = ""
    fault: str = ""

    def fact(self, name: str) -> str:
        """The last value of that fact, or empty."""
        return self.facts.get(name, ("",))[-1]

    @property
    def changed(self) -> bool | None:
        """Whether the script says that it changed the host; None where it does not say."""
        return {"0": False, "1": True}.get(self.fact("changed"))

    @property
    def done(self) -> bool:
        """Success, said in both ways that the contract demands."""
        return self.exit_code == Exit.DONE and not self.fault


def read_answer(verb: Verb, exit_code: int, stdout: bytes, stderr: bytes = b"") -> Answer:
    """What a call's output means. Total: rubbish becomes an Answer with a fault, never an exception."""
    facts = _facts(stdout)
    answer = Answer(verb=verb, exit_code=exit_code, facts=facts, reason=_reason(stderr))
    fault = _fault(answer, stdout)
    return Answer(verb=verb, exit_code=exit_code, facts=facts, reason=answer.reason, fault=fault)


def observation_of(service: str, answer: Answer, seen_at: datetime) -> Observation:
    """What `check_status` saw. An answer that broke the contract, or a call that failed, is `unknown`."""
    state, _ = _STATES.get(answer.fact("state"), ("unknown", -1))
    if answer.fault or answer.exit_code not in (Exit.DONE, Exit.STOPPED, Exit.NOT_INSTALLED, Exit.DEGRADED):
        why = answer.fault or answer.reason or f"check_status ended with exit code {answer.exit_code}"
        return Observation(service=service, state="unknown", seen_at=seen_at, reason=why[:MAX_REASON])
    return Observation(
        service=service,
        state=state,
        seen_at=seen_at,
        probed_at=seen_at,
        version=answer.fact("version"),
        config=answer.fact("config"),
        watch=answer.facts.get("watch", ()),
        drift=tuple(line[:MAX_DRIFT_CHARS] for line in answer.facts.get("drift", ())[:MAX_DRIFT]),
        identity=identity_of(answer),
        ports=tuple(sorted({int(p) for p in answer.facts.get("port", ()) if p.isdigit() and int(p) < 65536})),
        unit=answer.fact("unit"),
        reason=(answer.fact("reason") or answer.reason)[:MAX_REASON],
    )


def identity_of(answer: Answer) -> Identity | None:
    """The process that the answer names, if it names one wholly."""
    pid, start, boot = answer.fact("pid"), answer.fact("start_time"), answer.fact("boot_id")
    if not (pid.isdigit() and start.isdigit() and boot):
        return None
    return Identity(
        boot_id=boot, pid=int(pid), start_time=int(start), exe=answer.fact("exe"), command=answer.fact("command")
    )


def _facts(stdout: bytes) -> dict[str, tuple[str, ...]]:
    facts: dict[str, tuple[str, ...]] = {}
    for line in stdout[:MAX_STDOUT].decode("utf-8", "replace").splitlines():
        key, equals, value = line.partition("=")
        if equals and key.isidentifier():
            facts[key] = (*facts.get(key, ()), value[:4096])
    return facts


def _reason(stderr: bytes) -> str:
    """The last `reason:` line: the script's own sentence about why."""
    lines = stderr.decode("utf-8", "replace").splitlines()
    said = [line.split(":", 1)[1].strip() for line in lines if line.startswith("reason:")]
    return said[-1][:MAX_REASON] if said else ""


def _fault(answer: Answer, stdout: bytes) -> str:
    if len(stdout) > MAX_STDOUT:
        return f"printed more than {MAX_STDOUT} bytes to standard output"
    if answer.verb is Verb.CHECK_STATUS:
        return _status_fault(answer)
    if answer.verb not in READING and answer.exit_code == Exit.DONE and answer.changed is None:
        return "ended with exit code 0 but said neither changed=0 nor changed=1"
    if answer.verb is Verb.CONFIGURE and answer.exit_code == Exit.DONE and not answer.fact("config"):
        return "configure did not say config=sha256:…"
    return ""


def _status_fault(answer: Answer) -> str:
    said = answer.fact("state")
    _, exit_code = _STATES.get(said, ("unknown", -1))
    if (
        answer.exit_code in (Exit.DONE, Exit.STOPPED, Exit.NOT_INSTALLED, Exit.DEGRADED)
        and exit_code != answer.exit_code
    ):
        return f"check_status said state={said or '(nothing)'} but ended with exit code {answer.exit_code}"
    config = answer.fact("config")
    if config and not is_name(DIGEST_PATTERN, config):
        return f"check_status said config={config[:80]}, which is no digest"
    return ""
