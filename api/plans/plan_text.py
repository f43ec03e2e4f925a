"""A fleet's plan for people: as text, and as Markdown for a merge request. Removals and restarts come first.

Hosts that would do the same are told once, together. What comes from the catalogue or from hosts is shown, never
obeyed: no control character reaches a terminal, no markup a page.
"""

from collections.abc import Iterable, Iterator, Sequence

from api.plans.fleet_plan import FleetPlan, HostPlan
from api.plans.rolls import Roll
from desired_state.catalogue import Problem
from desired_state.step import Step

_NAMED = 8
"""Hosts of a group that are named; the rest is counted."""
_GROUPS = 100
"""Groups that are told in a merge request's note, which has a bound."""


def as_text(plan: FleetPlan) -> str:
    """For a terminal."""
    lines = [problem_line(problem) for problem in plan.problems]
    if plan.refused:
        return _text([*lines, "", "The catalogue would be refused: nothing is planned."])
    lines += ["", *_summary(plan), ""] if lines else [*_summary(plan), ""]
    for group in _groups(plan.hosts):
        lines += [*_group_text(group), ""]
    return _text(lines)


def as_markdown(plan: FleetPlan) -> str:
    """For a merge request."""
    problems = [f"- {_code(problem_line(problem))}" for problem in plan.problems]
    if plan.refused:
        return _text(["### Plan: the catalogue would be refused", "", *problems])
    lines = ["### Plan", "", *_summary(plan), ""]
    lines += [*problems, ""] if problems else []
    urgent = [line for plan_ in plan.hosts for line in _urgent_markdown(plan_)]
    if urgent:
        lines += ["**Removals and restarts**", "", *urgent[:_GROUPS], *_rest(len(urgent)), ""]
    groups = list(_groups(plan.hosts))
    for group in groups[:_GROUPS]:
        lines += _group_markdown(group)
    return _text([*lines, *_rest(len(groups))])


def problem_line(problem: Problem) -> str:
    """File, line, field, message."""
    place = f"{problem.file}:{problem.line}: " if problem.file else ""
    field = f"{problem.pointer}: " if problem.pointer else ""
    warning = "" if problem.severity == "error" else f"{problem.severity}: "
    return _plain(f"{place}{warning}{field}{problem.message}")


def _summary(plan: FleetPlan) -> list[str]:
    count = len(plan.hosts)
    what = (
        "Nothing changes" if not count else f"{_many(count, 'host')} {'has' if count == 1 else 'have'} something to do"
    )
    lines = [f"{what}; {_many(plan.unchanged, 'host')} {'stays' if plan.unchanged == 1 else 'stay'} as declared."]
    if plan.leaving:
        names = _names(plan.leaving)
        lines.append(f"Not declared any more, and left as they are with the document they have: {names}.")
    lines += [_roll(roll) for roll in plan.rolls[:_GROUPS]]
    return [*lines, *(f"{_plain(remark)}." for remark in plan.remarks)]


def _roll(roll: Roll) -> str:
    names = [f"{host} (the primary)" if host == roll.primary else host for host in roll.hosts]
    if len(names) == 1:
        return f"Cluster {roll.service}: {names[0]} alone changes."
    if roll.at_once:
        return f"Cluster {roll.service}: all members change at once, because {roll.at_once}: {_names(names)}."
    return f"Cluster {roll.service}: one member after another, each when the last one is well: {_names(names)}."


def _groups(plans: Sequence[HostPlan]) -> Iterator[list[HostPlan]]:
    """Hosts that would do the same, in the order of the first of each."""
    groups: dict[object, list[HostPlan]] = {}
    for plan in plans:
        steps = tuple((s.service, s.verb, s.intent, s.reasons, s.interrupts, s.removes, s.destroys) for s in plan.steps)
        held = tuple((h.service, h.verb, h.reason) for h in plan.held)
        groups.setdefault((plan.document_changes, steps, held, plan.remarks), []).append(plan)
    yield from groups.values()


def _group_text(group: list[HostPlan]) -> Iterator[str]:
    plan = group[0]
    yield f"{_names([one.host for one in group])}  {_heading(group)}"
    for step in plan.steps:
        for word in _urgent(step):
            yield f"  ! {word}: {step.service} ({step.verb}){_because(step)}"
    width = max((len(step.service) for step in plan.steps), default=0)
    for number, step in enumerate(plan.steps, 1):
        yield f"  {number:>2}. {step.service:<{width}}  {step.verb:<13}{_because(step).removeprefix(':')}".rstrip()
    for held in plan.held:
        yield f"  held: {held.service} ({held.verb}): {_plain(held.reason)}"
    for remark in plan.remarks:
        yield f"  note: {_plain(remark)}"


def _group_markdown(group: list[HostPlan]) -> Iterator[str]:
    plan = group[0]
    yield f"<details><summary><b>{_names([one.host for one in group])}</b>: {_heading(group)}</summary>"
    yield ""
    for number, step in enumerate(plan.steps, 1):
        reasons = "; ".join(_code(reason) for reason in step.reasons)
        drift = " (drift)" if step.intent == "corrective" else ""
        yield f"{number}. {_code(step.service)} **{step.verb}**{drift}{': ' + reasons if reasons else ''}"
    yield from (f"- held: {_code(held.service)} {held.verb}: {_code(held.reason)}" for held in plan.held)
    yield from (f"- {_code(remark)}" for remark in plan.remarks)
    yield from ("", "</details>", "")


def _urgent_markdown(plan: HostPlan) -> Iterator[str]:
    for step in plan.steps:
        for word in _urgent(step):
            reasons = "; ".join(_code(reason) for reason in step.reasons)
            yield f"- **{word}**: {_code(step.service)} on {_code(plan.host)} ({step.verb}): {reasons}"


def _heading(group: list[HostPlan]) -> str:
    plan = group[0]
    if not plan.document_changes:
        what = "no new document; outstanding already"
    elif plan.revision is None:
        what = "its first document" if len(group) == 1 else "their first documents"
    else:
        what = f"revision {plan.revision} -> {plan.revision + 1}" if len(group) == 1 else "a new revision each"
    counts = [
        _many(sum(step.destroys for step in plan.steps), "deletion") + " of data",
        _many(sum(step.removes and not step.destroys for step in plan.steps), "removal"),
        _many(sum(step.interrupts for step in plan.steps), "interruption"),
        f"{len(plan.held)} held",
    ]
    told = [count for count in counts if not count.startswith("0 ")]
    return ", ".join([f"{what}: {_many(len(plan.steps), 'step')}", *told])


def _urgent(step: Step) -> list[str]:
    if step.destroys:
        return ["deletes data"]
    if step.removes:
        return ["removes"]
    return ["interrupts"] if step.interrupts else []


def _because(step: Step) -> str:
    reasons = "; ".join(_plain(reason) for reason in step.reasons)
    drift = "drift: " if step.intent == "corrective" else ""
    return f": {drift}{reasons}" if reasons else ""


def _names(hosts: Sequence[str]) -> str:
    more = len(hosts) - _NAMED
    return ", ".join(hosts[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}" + ("" if count == 1 else "s")


def _rest(count: int) -> list[str]:
    return [f"- and {count - _GROUPS} more"] if count > _GROUPS else []


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


def _code(text: str) -> str:
    """As code: no markup in it counts."""
    return "`" + _plain(text).replace("`", "'") + "`"


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines).strip("\n") + "\n"
