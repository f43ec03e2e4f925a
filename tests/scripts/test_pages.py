"""The pages of the kinds are in step with the scripts."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from desired_state.catalogue import Catalogue, HostEntry, ServiceEntry
from desired_state.cluster import expanded
from desired_state.cluster_problems import cluster_problems
from desired_state.contract import KindMeta, Verb
from desired_state.document import Value
from desired_state.placement import on_host
from tests.middleware.tested_page import PAGE as TESTED
from tests.middleware.tested_page import sections
from tests.scripts.calling import KINDS, Service
from tests.scripts.kinds.case import case_of, has_software
from tests.scripts.parameter_table import page_of, with_table
from tests.scripts.test_conformance import meta_of

HEADINGS = ["What it drives", "Healthy means", "Parameters", "Packages", "Verbs", "Files", "In the catalogue"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_table_of_parameters_is_the_scripts(kind: str) -> None:
    """Made from `meta`; else run `python -m tests.scripts.parameter_table`."""
    page = page_of(kind).read_text()
    assert with_table(page, kind) == page


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_told_under_the_same_headings(kind: str) -> None:
    """Who has read one page finds everything on the next."""
    assert HEADINGS == re.findall(r"^## (.*)$", page_of(kind).read_text(), re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
def test_every_verb_and_package_is_told(kind: str) -> None:
    """Each verb that meta names stands on the page, and no other one does."""
    page, meta = page_of(kind).read_text(), meta_of(kind)
    told = set(re.findall(r"`([a-z_]+)`", page.partition("## Verbs")[2].partition("\n## ")[0]))
    assert {str(verb) for verb in meta.verbs} - {"meta", "check_status"} <= told
    assert {role.role for role in meta.packages} <= set(re.findall(r"`([a-z]+)`", page.partition("## Packages")[2]))


@pytest.mark.parametrize("kind", KINDS)
def test_a_verb_may_take_as_long_as_its_parameter_allows(kind: str) -> None:
    """Else the caller ends a start that loads much data, although the operator gave it an hour."""
    meta = meta_of(kind)
    most = {parameter.name: parameter.max or 0 for parameter in meta.parameters}
    start, stop = most.get("start_timeout", 0), most.get("stop_timeout", 0)
    wanted = {"start": start, "stop": stop, "restart": start + stop, "uninstall": stop}
    too_short = {verb: meta.verbs[Verb(verb)].timeout_s for verb in wanted if wanted[verb]}
    assert {} == {verb: took for verb, took in too_short.items() if took < wanted[verb]}


@pytest.mark.parametrize("kind", KINDS)
def test_catalogue_entries_on_the_page_are_good(kind: str) -> None:
    """Worked examples use parameters, roles and versions that the kind has."""
    meta = meta_of(kind)
    for text in re.findall(r"```yaml\n(.*?)```", page_of(kind).read_text(), re.DOTALL):
        entry = msgspec.yaml.decode(text)
        assert kind == entry["kind"]
        assert set(entry["parameters"]) <= {parameter.name for parameter in meta.parameters}
        assert set(entry.get("packages", {})) <= {role.role for role in meta.packages}
        assert _supports(meta, str(entry["version"]))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if has_software(kind)])
def test_the_run_on_real_software_is_told(kind: str) -> None:
    """Every version of the case has its column; else run `nox -s middleware -- KIND`."""
    head = sections(TESTED.read_text())[kind].split("\n")[2]
    software = [f"{one.name} {one.version}" for one in case_of(kind).real.software]
    assert software == head.removeprefix("|  | ").removesuffix(" |").split(" | ")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if has_software(kind)])
def test_worked_entries_are_configured_as_they_stand(kind: str, folder: Path) -> None:
    """The real program takes what the page shows: its own judgement of options and files included."""
    case = case_of(kind)
    for text in re.findall(r"```yaml\n(.*?)```", page_of(kind).read_text(), re.DOTALL):
        entry = msgspec.yaml.decode(text)
        if entry.get("state") == "adopted":
            continue
        # What is shown in an older version is tried in that one.
        said = str(entry["version"])
        other = next((one for one in case.real.software if one.version == said != case.version), None)
        for member, parameters in _of_each_member(entry, meta_of(kind)).items():
            service = Service(
                kind=kind,
                name=entry["service"],
                folder=folder,
                version=other.version if other else case.version,
                packages=(other or case).packages(),
                parameters={name: _as_text(value) for name, value in parameters.items()},
                secrets={name: case.secrets.get(name, "a secret") for name in entry.get("secrets", {})},
                prefix=folder / f"prefix-{member}",
            )
            case.prepare(service)
            service.do("install", "configure")


def _of_each_member(entry: dict[str, Any], meta: KindMeta) -> dict[str, Mapping[str, Value]]:
    """The parameters of a service on each host of its cluster; of one without, the same anywhere."""
    if "cluster" not in entry:
        return {"any": entry["parameters"]}
    declared = msgspec.convert(entry, ServiceEntry)
    hosts = tuple(HostEntry(host=host) for host in entry["cluster"]["members"])
    catalogue = Catalogue(services=(declared,), hosts=hosts)
    assert () == tuple(cluster_problems(declared, {host.host: host for host in hosts}, meta))
    (placed,) = expanded(catalogue, {meta.kind: meta}).services
    return {host.host: on_host(placed, host.host).parameters for host in hosts}


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _supports(meta: KindMeta, version: str) -> bool:
    return not meta.versions or any(version == known or version.startswith(f"{known}.") for known in meta.versions)
