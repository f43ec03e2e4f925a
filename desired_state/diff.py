"""What differs: what shall be (document) against what was applied last (record) against what is seen (observed).

Desired against record tells what somebody asked for (intended); record against observed tells what drifted
(corrective). A service that is in the record and not in the document has no changes: absence is never an order to
delete. A service that nobody could look at has none either: nothing is ever done out of ignorance.
"""

from collections.abc import Iterable, Iterator, Mapping

from desired_state.change import Change
from desired_state.contract import Effect, KindMeta, Verb
from desired_state.document import Document, SealedSecret, Service
from desired_state.observed import Observation, Observed
from desired_state.parameters import with_defaults
from desired_state.record import AppliedSecret, Record, Recorded

SHOWN_DRIFT = 3
UP = ("running", "degraded")
UNRECORDED = "runs here and is not on record: is restarted only if putting it in place again changes something"
_RANK = {Effect.NONE: 0, Effect.RELOAD: 1, Effect.RESTART: 2}


def diff(document: Document, record: Record, observed: Observed, kinds: Mapping[str, KindMeta]) -> tuple[Change, ...]:
    """Every difference, by service, each with its reason."""
    changes: list[Change] = []
    for wanted in document.services:
        seen, meta = observed.get(wanted.name), kinds.get(wanted.kind)
        if seen is not None and seen.state != "unknown" and meta is not None:
            changes += _service(wanted, record.get(wanted.name), seen, meta)
    return tuple(changes)


def strongest(effects: Iterable[Effect]) -> Effect:
    """What needs most: restart above reload above none."""
    return max(effects, key=_RANK.__getitem__, default=Effect.NONE)


def keeps_running(wanted: Service, recorded: Recorded | None, seen: Observation) -> bool:
    """Whether it runs as declared, as far as anybody can see, and only the record does not say so: it was lost.

    Its program and its configuration are put in place under it. One that is degraded may run with an earlier
    configuration, which the lost record knew: that one is no such case.
    """
    if wanted.state != "running" or seen.state != "running":
        return False
    if recorded is None or recorded.state == "absent":
        return seen.version == wanted.version
    digests = {role: package.digest for role, package in wanted.packages.items()}
    put_back = (recorded.version, recorded.packages) == (wanted.version, digests)  # the first step of that was done
    return put_back and not (recorded.adopted or recorded.config or recorded.pending is not Effect.NONE)


def _service(wanted: Service, recorded: Recorded | None, seen: Observation, meta: KindMeta) -> Iterator[Change]:
    if recorded is not None and recorded.state != "absent" and recorded.kind != wanted.kind:
        yield _change(
            wanted,
            "kind",
            reason=f"is a {recorded.kind} here and shall be a {wanted.kind}: declare it absent first",
            desired=wanted.kind,
            recorded=recorded.kind,
        )
    elif wanted.state == "absent":
        yield from _absent(wanted, recorded, seen, meta)
    elif wanted.state == "adopted":
        yield from _adopted(wanted, recorded, seen)
    else:
        yield from _installed(wanted, recorded, seen, meta)


def _absent(wanted: Service, recorded: Recorded | None, seen: Observation, meta: KindMeta) -> Iterator[Change]:
    applied = recorded is not None and recorded.state != "absent"
    if recorded is not None and recorded.adopted and applied:
        yield _change(wanted, "adoption", reason="was taken over and is given back as it runs", desired="released")
        return
    if applied:
        yield _change(wanted, "presence", reason="shall be absent", desired="absent", observed=seen.state)
    elif seen.state != "absent":
        intent = "corrective" if recorded else "intended"
        yield _change(
            wanted, "presence", intent, reason="shall be absent and is here", desired="absent", observed=seen.state
        )
    if wanted.purge and meta.holds_data and (recorded is None or recorded.holds_data):
        yield _change(wanted, "data", reason="the document orders its data to be deleted (purge)", desired="purged")


def _adopted(wanted: Service, recorded: Recorded | None, seen: Observation) -> Iterator[Change]:
    if recorded is None or recorded.state == "absent":
        yield _change(wanted, "adoption", reason="runs here and shall be taken over as it is", desired="adopted")
    elif recorded.adopted and seen.state == "absent":
        yield _change(wanted, "adoption", "corrective", reason="is no longer known as taken over", desired="adopted")
    elif seen.state == "stopped":
        yield from _down(wanted, recorded, seen)


def _installed(wanted: Service, recorded: Recorded | None, seen: Observation, meta: KindMeta) -> Iterator[Change]:
    if recorded is None or recorded.state == "absent":
        kept = keeps_running(wanted, recorded, seen)
        reason = UNRECORDED if kept else "is not installed"
        yield _change(wanted, "presence", reason=reason, desired=wanted.version, observed=seen.state)
        return
    if recorded.adopted and wanted.state == "running":
        yield _change(
            wanted,
            "presence",
            reason="was taken over and shall be installed: this is its first restart",
            desired=wanted.version,
            observed=seen.version,
            effect=Effect.RESTART,
        )
        return
    if not recorded.adopted:
        if seen.state == "absent":
            yield _change(wanted, "presence", "corrective", reason="its program is gone", desired=wanted.version)
            return
        yield from _program(wanted, recorded, seen, meta)
        yield from _configuration(wanted, recorded, seen, meta)
    yield from _process(wanted, recorded, seen)
    if wanted.monitoring != recorded.monitoring and meta.has(Verb.MONITOR_TRACE):
        yield _change(wanted, "monitoring", reason="monitoring shall be wired as declared")


def _program(wanted: Service, recorded: Recorded, seen: Observation, meta: KindMeta) -> Iterator[Change]:
    if wanted.version != recorded.version:
        yield _change(
            wanted,
            "version",
            reason=f"version {recorded.version} -> {wanted.version}",
            desired=wanted.version,
            recorded=recorded.version,
            observed=seen.version,
            effect=Effect.RESTART,
        )
    elif seen.version and seen.version != recorded.version and not _awaits_its_restart(recorded, seen, meta):
        yield _change(
            wanted,
            "version",
            "corrective",
            reason=f"version {seen.version} is here, {recorded.version} was applied",
            desired=wanted.version,
            recorded=recorded.version,
            observed=seen.version,
            effect=Effect.RESTART,
        )
    for role in sorted(wanted.packages.keys() | recorded.packages.keys()):
        package = wanted.packages.get(role)
        shall, was = package.digest if package else "", recorded.packages.get(role, "")
        if shall != was:
            yield _change(
                wanted,
                "package",
                reason=f"package {role} is {package.name + '-' + package.version if package else 'no longer wanted'}",
                field=f"packages.{role}",
                desired=shall,
                recorded=was,
                effect=Effect.RESTART,
            )


def _awaits_its_restart(recorded: Recorded, seen: Observation, meta: KindMeta) -> bool:
    """The program before still runs beside the one that was installed: that is no drift, and the restart is owed."""
    return meta.side_by_side and recorded.pending is Effect.RESTART and seen.state in UP


def _configuration(wanted: Service, recorded: Recorded, seen: Observation, meta: KindMeta) -> Iterator[Change]:
    if keeps_running(wanted, recorded, seen):
        yield _change(wanted, "configuration", reason=UNRECORDED, field="config")
        return
    yield from _parameters(wanted, recorded, meta)
    yield from _secrets(wanted, recorded, meta)
    if not recorded.config:
        yield _change(wanted, "configuration", reason="is not configured yet", field="config", effect=Effect.RESTART)
    elif seen.config and seen.config != recorded.config:
        # The same process as we left may have the wrong file beside it, but never read it; another one may have.
        same = recorded.identity is not None and recorded.identity == seen.identity
        yield _change(
            wanted,
            "configuration",
            "corrective",
            reason=_edited(seen),
            field="config",
            desired=recorded.config,
            recorded=recorded.config,
            observed=seen.config,
            effect=Effect.RELOAD if same else Effect.RESTART,
        )
    if recorded.pending is not Effect.NONE and seen.state in UP:
        yield _change(
            wanted,
            "process",
            reason=f"its configuration still waits for a {recorded.pending}",
            field="pending",
            effect=recorded.pending,
        )


def _edited(seen: Observation) -> str:
    """What was done to the files, as far as the script can tell: the first keys; the observation has more of them."""
    told = "its configuration was edited by hand" + (" or lost" if seen.state == "stopped" else "")
    if not seen.drift:
        return told
    more = len(seen.drift) - SHOWN_DRIFT
    return f"{told}: {'; '.join(seen.drift[:SHOWN_DRIFT])}" + (f"; and {more} more" if more > 0 else "")


def _parameters(wanted: Service, recorded: Recorded, meta: KindMeta) -> Iterator[Change]:
    shall = with_defaults(wanted.parameters, meta)
    for name in sorted(shall.keys() | recorded.parameters.keys()):
        now, was = shall.get(name), recorded.parameters.get(name)
        # Empty means "not given": one that newer scripts have, and the service does not use, is no difference.
        if (now or "") != (was or ""):
            yield _change(
                wanted,
                "parameter",
                reason=f"{name}: {_shown(was)} -> {_shown(now)}",
                field=f"parameters.{name}",
                desired=_shown(now),
                recorded=_shown(was),
                effect=meta.effect_of(name),
            )


def _secrets(wanted: Service, recorded: Recorded, meta: KindMeta) -> Iterator[Change]:
    """Another secret, or another version of it. Nobody can compare values, and sealing anew changes nothing here."""
    for name in sorted(wanted.secrets.keys() | recorded.secrets.keys()):
        now, was = wanted.secrets.get(name), recorded.secrets.get(name)
        if (now and (now.name, now.version)) != (was and (was.name, was.version)):
            yield _change(
                wanted,
                "parameter",
                reason=f"secret {name}: {_versions(was, now)}",
                field=f"secrets.{name}",
                desired=str(now or ""),
                recorded=str(was or ""),
                effect=meta.effect_of(name),
            )


def _versions(was: AppliedSecret | None, now: SealedSecret | None) -> str:
    if was is not None and now is not None and was.name == now.name:
        return f"version {was.version} -> {now.version}"
    return f"{was or '(not set)'} -> {now or '(not set)'}"


def _process(wanted: Service, recorded: Recorded, seen: Observation) -> Iterator[Change]:
    if wanted.state == "stopped" and seen.state in UP:
        drifted = recorded.state == "stopped"
        yield _change(
            wanted,
            "process",
            "corrective" if drifted else "intended",
            reason="was started and shall be stopped" if drifted else "shall be stopped",
            field="state",
            desired="stopped",
            recorded=recorded.state,
            observed=seen.state,
        )
    elif wanted.state != "stopped" and seen.state == "stopped":
        yield from _down(wanted, recorded, seen)


def _down(wanted: Service, recorded: Recorded, seen: Observation) -> Iterator[Change]:
    # Down before its new configuration was in force: it did not come up with what was asked for, and that is no drift.
    drifted = recorded.state == "running" and recorded.pending is Effect.NONE
    yield _change(
        wanted,
        "process",
        "corrective" if drifted else "intended",
        reason="stopped by itself or by somebody and shall run" if drifted else "is stopped and shall run",
        field="state",
        desired="running",
        recorded=recorded.state,
        observed=seen.state,
    )


def _shown(value: str | None) -> str:
    if value is None:
        return "(not set)"
    return value if len(value) <= 80 else f"{value[:77]}…"


def _change(wanted: Service, aspect: str, intent: str = "intended", *, reason: str, **sides: object) -> Change:
    return Change(service=wanted.name, aspect=aspect, intent=intent, reason=reason, **sides)  # type: ignore[arg-type]
