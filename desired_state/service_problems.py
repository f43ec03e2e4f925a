"""What is wrong with one service of the catalogue, on any of the hosts that it is placed on."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from msgspec import Struct

from desired_state.catalogue import PackageEntry, Problem, ServiceEntry
from desired_state.contract import KindMeta, PackageRole
from desired_state.document import State, Value
from desired_state.names import HostName, Kind, PackageName, ParameterName, Role, SecretName, Version
from desired_state.parameters import MAX_TOTAL_BYTES, monitoring_values, value_problem, with_defaults

Placed = Mapping[HostName, ServiceEntry]
"""A service as it shall be on each of its hosts."""


class KnownSecrets(Struct, frozen=True, kw_only=True):
    """The secrets that the backend's store holds."""

    names: frozenset[SecretName]
    severity: str = "error"
    """Of naming another one: `warning` where it may still be set before the catalogue is imported."""


def service_problems(
    entry: ServiceEntry,
    placed: Placed,
    kinds: Mapping[Kind, KindMeta],
    packages: Mapping[PackageName, PackageEntry],
    secrets: KnownSecrets | None,
) -> Iterator[Problem]:
    """Every problem of that service, as declared and with its overrides."""
    yield from _purge_problems(entry, placed)
    yield from _unknown_packages(entry, packages)
    yield from _unknown_secrets(entry, secrets)
    meta = kinds.get(entry.kind)
    if meta is None:
        hint = did_you_mean(entry.kind, kinds)
        message = f"unknown kind {entry.kind!r}{hint or f'; the script bundle has {_list(kinds)}'}"
        yield Problem(pointer=pointer("services", entry.service, "kind"), message=message)
        return
    yield from _version_problems(entry, meta)
    yield from _parameter_problems(entry, meta)
    yield from _monitoring_problems(entry, meta)
    yield from _secret_problems(entry, meta)
    yield from _role_problems(entry, meta)
    yield from _missing(entry, placed, meta)
    yield from _too_much(entry, placed, meta)


def pointer(*parts: str) -> str:
    """RFC 6901."""
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint at the nearest of the known words, or nothing."""
    near = get_close_matches(word, sorted(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def on(hosts: list[HostName]) -> str:
    """Hosts in words, not more than a line of them."""
    return ", ".join(hosts[:3]) + (f" and {len(hosts) - 3} more hosts" if len(hosts) > 3 else "")


def _at(entry: ServiceEntry, *parts: str) -> str:
    return pointer("services", entry.service, *parts)


def _purge_problems(entry: ServiceEntry, placed: Placed) -> Iterator[Problem]:
    if not entry.purge:
        return
    advice = "purge deletes data, and goes with state absent only"
    if entry.state != "absent":
        yield Problem(pointer=_at(entry, "purge"), message=f"{advice}; the state is {entry.state}")
    for host, there in sorted(placed.items()):
        if there.state not in {"absent", entry.state}:
            message = f"{advice}; the state is {there.state} on {host}"
            yield Problem(pointer=_at(entry, "overrides", host, "state"), message=message)


def _monitoring_problems(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    known = {parameter.name: parameter for parameter in meta.monitoring}
    if entry.monitoring and not known:
        message = f"{meta.kind} wires nothing by itself; what it is told stands under parameters: docs/monitoring.md"
        yield Problem(pointer=_at(entry, "monitoring"), message=message)
        return
    if entry.monitoring and entry.state == "adopted":
        yield Problem(pointer=_at(entry, "monitoring"), message="is wired once the service is installed, not adopted")
    for name, value in entry.monitoring.items():
        if name not in known:
            hint = did_you_mean(name, known) or f"; {meta.kind} has {_list(known)}"
            problem = f"unknown value {name!r}{hint}"
        else:
            problem = value_problem(known[name], value)
            problem = problem and f"{name!r} {problem}"
        if problem:
            yield Problem(pointer=_at(entry, "monitoring", name), message=problem)
    for name in sorted(known.keys() - entry.monitoring.keys()):
        if entry.monitoring and known[name].required:
            message = f"value {name!r} is required by {meta.kind}, and missing"
            yield Problem(pointer=_at(entry, "monitoring", name), message=message)


def _unknown_packages(entry: ServiceEntry, packages: Mapping[PackageName, PackageEntry]) -> Iterator[Problem]:
    for where, chosen in _package_sets(entry):
        for role, name in chosen.items():
            if name not in packages:
                hint = did_you_mean(name, packages)
                message = f"there is no package {name!r}{hint or '; declare it'}"
                yield Problem(pointer=_at(entry, *where, "packages", role), message=message)


def _unknown_secrets(entry: ServiceEntry, secrets: KnownSecrets | None) -> Iterator[Problem]:
    """Where nobody knows which secrets there are, nothing is said of them."""
    for where, chosen in _secret_sets(entry) if secrets else ():
        for parameter, name in chosen.items():
            if secrets and name not in secrets.names:
                hint = did_you_mean(name, secrets.names)
                message = f"there is no secret {name!r}{hint or f'; set it: towline secret set {name}'}"
                at = _at(entry, *where, "secrets", parameter)
                yield Problem(pointer=at, message=message, severity=secrets.severity)


def _secret_problems(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    names = [parameter.name for parameter in meta.parameters if parameter.type == "secret"]
    for where, chosen in _secret_sets(entry):
        for name in chosen:
            if meta.parameter(name) is None:
                hint = did_you_mean(name, names) or f"; {meta.kind} has {_list(names)}"
                problem = f"unknown secret parameter {name!r}{hint}"
            elif name not in names:
                problem = f"{name!r} is no secret; write its value under parameters"
            else:
                continue
            yield Problem(pointer=_at(entry, *where, "secrets", name), message=problem)


def _secret_sets(entry: ServiceEntry) -> Iterator[tuple[tuple[str, ...], Mapping[ParameterName, SecretName]]]:
    yield (), entry.secrets
    for host, override in entry.overrides.items():
        yield ("overrides", host), override.secrets


def _version_problems(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    told: list[tuple[tuple[str, ...], Version, State]] = [((), entry.version, entry.state)]
    for host, override in entry.overrides.items():
        if override.version:
            told.append((("overrides", host), override.version, override.state or entry.state))
    for where, version, state in told:
        if state != "absent" and not supported(version, meta.versions):
            message = f"version {version} of {meta.kind} is not supported; supported: {_list(meta.versions)}"
            yield Problem(pointer=_at(entry, *where, "version"), message=message)


def supported(version: Version, prefixes: Iterable[Version]) -> bool:
    """Whether a version begins with one of the prefixes: `6.0` is one of 6.0.16, not of 6.01. No prefix: any."""
    prefixes = tuple(prefixes)
    return not prefixes or any(_begins(version, prefix) for prefix in prefixes)


def _begins(version: Version, prefix: Version) -> bool:
    rest = version[len(prefix) :]
    return version.startswith(prefix) and not (rest[:1].isdigit() and prefix[-1].isdigit())


def _parameter_problems(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    yield from _values(entry, (), entry.parameters, meta)
    for host, override in entry.overrides.items():
        yield from _values(entry, ("overrides", host), override.parameters, meta)


def _values(
    entry: ServiceEntry, where: tuple[str, ...], values: Mapping[ParameterName, Value], meta: KindMeta
) -> Iterator[Problem]:
    for name, value in values.items():
        parameter = meta.parameter(name)
        if parameter is None:
            names = [known.name for known in meta.parameters]
            hint = did_you_mean(name, names) or f"; {meta.kind} has {_list(names)}"
            problem = f"unknown parameter {name!r}{hint}"
        else:
            problem = value_problem(parameter, value)
            problem = problem and f"{name!r} {problem}"
        if problem:
            yield Problem(pointer=_at(entry, *where, "parameters", name), message=problem)


def _role_problems(entry: ServiceEntry, meta: KindMeta) -> Iterator[Problem]:
    roles = [role.role for role in meta.packages]
    for where, chosen in _package_sets(entry):
        for role in chosen:
            if role not in roles:
                hint = did_you_mean(role, roles) or f"; {meta.kind} has {_list(roles)}"
                yield Problem(pointer=_at(entry, *where, "packages", role), message=f"unknown role {role!r}{hint}")


def _package_sets(entry: ServiceEntry) -> Iterator[tuple[tuple[str, ...], Mapping[Role, PackageName]]]:
    yield (), entry.packages
    for host, override in entry.overrides.items():
        yield ("overrides", host), override.packages


def _missing(entry: ServiceEntry, placed: Placed, meta: KindMeta) -> Iterator[Problem]:
    """What the kind requires and the service lacks, on any of its hosts; as declared, where it has no host."""
    everywhere = placed or {"": entry}
    by_members = {line.parameter for line in meta.cluster} if entry.cluster else set()
    for parameter in meta.parameters:
        if not parameter.required or parameter.name in by_members:
            continue
        word, section = ("secret", "secrets") if parameter.type == "secret" else ("parameter", "parameters")
        lacking = [
            host
            for host, there in everywhere.items()
            if there.state != "absent" and parameter.name not in getattr(there, section)
        ]
        if lacking:
            message = f"{word} {parameter.name!r} is required by {meta.kind}, and missing{_where(lacking)}"
            yield Problem(pointer=_at(entry, section, parameter.name), message=message)
    for role in meta.packages:
        lacking = [host for host, there in everywhere.items() if _lacks(there, role)]
        if lacking:
            message = f"package role {role.role!r} is required by {meta.kind}, and missing{_where(lacking)}"
            yield Problem(pointer=_at(entry, "packages", role.role), message=message)


def _lacks(there: ServiceEntry, role: PackageRole) -> bool:
    """An adopted process brought its own program, and an absent one needs none."""
    return role.required and there.state in {"running", "stopped"} and role.role not in there.packages


def _too_much(entry: ServiceEntry, placed: Placed, meta: KindMeta) -> Iterator[Problem]:
    for host, there in (placed or {"": entry}).items():
        texts = (*with_defaults(there.parameters, meta).values(), *monitoring_values(there.monitoring, meta).values())
        total = sum(len(text.encode("utf-8", "replace")) for text in texts)
        if total > MAX_TOTAL_BYTES:
            message = f"all parameters together have {total} bytes{_where([host])}; at most {MAX_TOTAL_BYTES} fit"
            yield Problem(pointer=_at(entry, "parameters"), message=message)
            return


def _where(hosts: list[HostName]) -> str:
    return f" on {on(hosts)}" if hosts != [""] else ""


def _list(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"
