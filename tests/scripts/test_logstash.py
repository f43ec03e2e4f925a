"""logstashctl.sh: what it says of the pipeline and its inputs, and the settings of each version, on the stand-in."""

import json
from pathlib import Path

import pytest

from tests.middleware import logstash_stand_in
from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port

CASE = case_of("logstash")


def logstash(folder: Path, version: str = CASE.version, **changes: str) -> Service:
    """One stand-in that says that it is that version."""
    return Service(
        kind="logstash",
        name="shipping",
        folder=folder,
        version=version,
        packages={"server": logstash_stand_in(version)},
        parameters={"port": str(free_port()), "stop_timeout": "60s", "pipeline": "input { stdin {} }", **changes},
    )


def says(service: Service, **told: object) -> tuple[str, str]:
    """State and reason, once its API says that."""
    (service.root / "data/told").write_text(json.dumps(told))
    said = service.status()
    return said.facts["state"], said.reason


def test_a_pipeline_that_is_gone_is_told(folder: Path) -> None:
    """The process lives, its pipeline does not: degraded; and so is a status that is not green."""
    service = logstash(folder)
    service.do("install", "configure", "start")
    assert "running" == service.state_now()
    assert ("degraded", "its pipeline does not run") == says(service, pipelines={})
    assert ("degraded", "its pipeline does not run") == says(service, pipelines={"other": {}})
    assert ("degraded", "its status is yellow") == says(service, status="yellow")
    assert ("degraded", "answers HTTP 500 when asked for its pipelines") == says(service, http=500)


def test_inputs_are_looked_at(folder: Path) -> None:
    """A port that no input opens is told by its number."""
    port, other = free_port(), free_port()
    service = logstash(folder, pipeline=f"input {{ beats {{ port => {port} }} }}", input_ports=f"{port}")
    service.do("install", "configure", "start")
    assert {str(port), service.parameters["port"]} == set(service.status().all("port"))
    service.parameters["input_ports"] = f"{port}, {other}"
    service.do("configure")
    assert ("degraded", f"its inputs do not listen on port {other}") == says(service)


def test_a_pipeline_that_is_refused_is_told_in_its_words(folder: Path) -> None:
    """By the start, with the end of the log."""
    service = logstash(folder, pipeline="nonsense")
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, "Expected one of input, filter, output" in said.reason), said.reason


def test_secrets_and_folders_stand_in_the_pipeline(folder: Path) -> None:
    """In the place of their names, below a line of salt, in a file that others cannot read."""
    text = (
        'input { file { sincedb_path => "{data}/seen" } } output { x { a => "{password}" b => "{second_password}" } }'
    )
    service = logstash(folder, pipeline=text)
    assert "parameter password: is in the pipeline" in service.call("install").reason
    service.secrets |= {"password": "one $&\\", "second_password": "two"}
    service.do("install", "configure")
    file = service.root / "etc/pipeline.conf"
    wanted = text.replace("{data}", f"{service.root}/data").replace("{password}", "one $&\\")
    assert wanted.replace("{second_password}", "two") == file.read_text().split("\n")[1]
    assert 0o600 == file.stat().st_mode & 0o777
    for replaced in ('with " in it', "a{data}", "b{second_password}", "c${HOME}"):
        service.secrets["password"] = replaced
        assert 6 == service.call("configure").code, replaced


@pytest.mark.parametrize(("version", "name"), [("7.17.29", "http.port"), ("8.19.4", "api.http.port")])
def test_each_version_gets_the_settings_that_it_knows(folder: Path, version: str, name: str) -> None:
    """The API's port has changed its name."""
    service = logstash(folder, version)
    service.do("install", "configure")
    assert f'"{name}": {service.parameters["port"]}\n' in (service.root / "etc/logstash.yml").read_text()
