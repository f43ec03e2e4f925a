"""What is wrong with a kind's `meta` beyond its form: catalogues are judged by it, so it must hold together."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator

from desired_state.cluster import OWN_PLACEHOLDERS, PLACEHOLDER, placeholders, value_of
from desired_state.contract import FORMED, ClusterParameter, Effect, KindMeta, Parameter, Verb
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
        ("parameter", [parameter.name for parameter in (*meta.parameters, *meta.monitoring)]),
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
    problem = value_problem(parameter, value_of(parameter, parameter.default))
    return f"its default {problem}" if problem else ""


def _monitoring(meta: KindMeta, _: str) -> Iterator[str]:
    if meta.has(Verb.MONITOR_TRACE) != bool(meta.monitoring):
        yield "has one of monitor_trace and values of monitoring, which need each other"
    for value in meta.monitoring:
        problem = _parameter_problem(value)
        if value.effect is not Effect.NONE or value.type == "secret":
            problem = "monitor_trace restarts and reloads nothing and gets no secret of its own: make it a parameter"
        if problem:
            yield f"monitoring {value.name}: {problem}"


def _cluster(meta: KindMeta, _: str) -> Iterator[str]:
    filled = Counter(line.parameter for line in meta.cluster)
    twice = sorted(name for name, count in filled.items() if count > 1)
    if twice:
        yield f"has cluster lines twice: {', '.join(twice)}"
    for line in meta.cluster:
        for problem in _line_problems(line, meta, filled.keys()):
            yield f"cluster parameter {line.parameter}: {problem}"


def _line_problems(line: ClusterParameter, meta: KindMeta, filled: Collection[str]) -> Iterator[str]:
    parameter = meta.parameter(line.parameter)
    if parameter is None:
        yield "is no parameter of this kind"
    elif parameter.type == "secret":
        yield "is a secret, which membership cannot fill in"
    if line.source in FORMED and not line.form:
        yield f"from {line.source} needs a form"
    if line.form and line.source not in FORMED | {"address"}:
        yield f"from {line.source} has no form; only address, {', '.join(sorted(FORMED))} have"
    if set("{}") & set(PLACEHOLDER.sub("", line.form)):
        yield f"its form {line.form!r} has a brace that belongs to no placeholder"
    for name in placeholders(line.form):
        asked = meta.parameter(name)
        if name in OWN_PLACEHOLDERS:
            continue
        if asked is None or asked.type == "secret" or name in filled:
            yield f"its form asks for {{{name}}}, which is no id, host, address, or parameter that somebody sets"


_RULES: tuple[Callable[[KindMeta, str], Iterator[str]], ...] = (
    _kind,
    _verbs,
    _ports,
    _names,
    _parameters,
    _monitoring,
    _cluster,
)
