"""sentinelctl.sh: who may look, and what counts as the dashboard's answer. The dashboard is a stand-in here."""

from pathlib import Path

import pytest

from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.sentinel import SECRETS, stand_ins
from tests.servers.process import free_port

CASE = case_of("sentinel")


def sentinel(folder: Path, version: str = CASE.version, **parameters: str) -> Service:
    return Service(
        kind="sentinel",
        name="flow",
        folder=folder,
        version=version,
        packages=stand_ins(version),
        parameters={**CASE.parameters(free_port()), **parameters},
        secrets=SECRETS,
    )


@pytest.mark.parametrize("password", ["", "  "])
def test_a_login_needs_a_password(folder: Path, password: str) -> None:
    """Upstream takes any password where none is set."""
    service = sentinel(folder)
    service.secrets = {"password": password} if password else {}
    said = service.call("install")
    assert (6, True) == (said.code, "parameter password: is needed where auth is true" in said.reason)
    service.parameters["auth"] = "false"
    service.do("install", "configure")


def test_one_without_a_login_stays_on_the_host(folder: Path) -> None:
    """Before 1.6 nobody is asked for a password, so it is not opened to others by mistake."""
    service = sentinel(folder, version="0.2.0", bind="192.0.2.1")
    service.do("install")
    said = service.call("configure")
    assert (6, True) == (said.code, said.reason.startswith("parameter auth: before 1.6")), said.reason
    for change in ({"bind": "127.0.0.1"}, {"bind": "192.0.2.1", "auth": "false"}):
        service.parameters |= change
        service.do("configure")
    late = sentinel(folder / "late", version="1.8.3", bind="192.0.2.1")
    late.do("install", "configure")


@pytest.mark.parametrize(
    ("version", "option", "name"),
    [
        ("1.3.0", "spring.config.location", "server.context-path"),
        ("1.8.3", "spring.config.additional-location", "server.servlet.context-path"),
    ],
)
def test_settings_have_the_names_of_their_spring_boot(folder: Path, version: str, option: str, name: str) -> None:
    """One that Spring Boot does not know it leaves out in silence."""
    service = sentinel(folder, version=version, context_path="/flow")
    service.do("install", "configure", "start")
    assert f"--{option}=file:{service.root}/etc/" == (service.root / "etc/command").read_text().splitlines()[-1]
    assert f"\n{name}=/flow\n" in (service.root / "etc/application.properties").read_text()


def test_another_version_that_answers_is_degraded(folder: Path) -> None:
    """The answer is of what runs, not of what was meant to."""
    service = sentinel(folder)
    service.do("install", "configure", "start")
    (service.root / "data/version").write_text('{"success":true,"data":"1.8.3"}')
    assert "running" == service.state_now()
    (service.root / "data/version").write_text('{"success":true,"data":"1.8.2"}')
    assert (190, "says that it is version 1.8.2") == (service.status().code, service.status().reason)


def test_an_error_page_is_degraded(folder: Path) -> None:
    """Of one that does not tell its version."""
    service = sentinel(folder)
    service.do("install", "configure", "start")
    (service.root / "data/status").write_text("500")
    port = service.parameters["port"]
    assert f"answers HTTP 500 to GET / on port {port}" == service.status().reason
