"""What is wrong with a kind's `meta` beyond its form: catalogues are judged by it, so it must hold together."""

from collections import Counter
from collections.abc import Callable, Iterator

from desired_state.contract import KindMeta, Parameter
from desired_state.document import Value
from desired_state.parameters import value_problem


def meta_problems(meta: KindMeta, kind: str) -> tuple[str, ...]:
    """All that is wrong with the meta of the script `<kind>ctl.sh`, as sentences about the script."""
    return tuple(problem for rule in _RULES for problem in rule(meta, kind))


def _kind(meta: KindMeta, kind: str) -> Iterator[str]:
    if meta.kind != kind:
        yield f"says it is for the kind {meta.kind}; a script is named after its kind"


def _verbs(meta: KindMeta, _: str) -> Iterator[str]:
    missing = sorted(meta.required_verbs - {*meta.verbs, "meta"})
    if missing:
        yield f"lacks the required verbs {', '.join(missing)}"


def _ports(meta: KindMeta, _: str) -> Iterator[str]:
    known = {parameter.name for parameter in meta.parameters}
    for what, named in (("ports of metrics", {page.port for page in meta.metrics}), ("ports", set(meta.ports))):
        nowhere = sorted(named - known)
        if nowhere:
            yield f"names {what} that are no parameters: {', '.join(nowhere)}"


def _names(meta: KindMeta, _: str) -> Iterator[str]:
    for what, names in (
        ("parameter", [parameter.name for parameter in meta.parameters]),
        ("package role", [role.role for role in meta.packages]),
    ):
        twice = sorted(name for name, count in Counter(names).items() if count > 1)
        if twice:
            yield f"has a {what} twice: {', '.join(twice)}"


def _parameters(meta: KindMeta, _: str) -> Iterator[str]:
    for parameter in meta.parameters:
        problem = _parameter_problem(parameter)
        if problem:
            yield f"parameter {parameter.name}: {problem}"


def _parameter_problem(parameter: Parameter) -> str:
    if parameter.min is not None and parameter.max is not None and parameter.min > parameter.max:
        return f"its lower bound {parameter.min} is above its upper bound {parameter.max}"
    if (parameter.type == "enum") != bool(parameter.choices):
        return "an enum needs choices, and nothing else has them"
    if parameter.required and parameter.default:
        return "is required, so its default is never used"
    if parameter.type == "secret" or not parameter.default:
        return ""
    problem = value_problem(parameter, _value(parameter, parameter.default))
    return f"its default {problem}" if problem else ""


def _value(parameter: Parameter, text: str) -> Value:
    """The default as a catalogue would write it; what is no such value stays text, and is told as that."""
    if parameter.type in ("int", "port") and text.removeprefix("-").isdecimal():
        return int(text)
    if parameter.type == "bool" and text in ("true", "false"):
        return text == "true"
    return text


_RULES: tuple[Callable[[KindMeta, str], Iterator[str]], ...] = (_kind, _verbs, _ports, _names, _parameters)
