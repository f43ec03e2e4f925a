"""kibanactl.sh: what it says of Kibana's status, and the settings of each version, on the stand-in."""

import json
from pathlib import Path

import pytest

from tests.middleware import kibana_stand_in
from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port

CASE = case_of("kibana")


def kibana(folder: Path, version: str = CASE.version, **changes: str) -> Service:
    """One stand-in that says that it is that version."""
    return Service(
        kind="kibana",
        name="dashboards",
        folder=folder,
        version=version,
        packages={"server": kibana_stand_in(version)},
        parameters={"port": str(free_port()), "stop_timeout": "60s", **changes},
    )


def settings(service: Service) -> dict[str, object]:
    """What kibana.yml says."""
    text = (service.root / "etc/kibana.yml").read_text("utf-8")
    return {k: v for line in text.splitlines() if line[:1] == '"' for k, v in json.loads("{" + line + "}").items()}


def says(service: Service, **status: object) -> tuple[str, str]:
    """State and reason, once its status is that."""
    (service.root / "data/status").write_text(json.dumps(status))
    said = service.status()
    return said.facts["state"], said.reason


def test_the_status_of_new_versions_has_its_words(folder: Path) -> None:
    """From 8 on: a level and a summary."""
    service = kibana(folder)
    service.do("install", "configure", "start")
    assert "running" == service.state_now()
    told = says(service, status={"overall": {"level": "unavailable", "summary": "elasticsearch is away"}})
    assert ("degraded", "its status is unavailable: elasticsearch is away") == told
    told = says(service, status={"overall": {"level": "degraded", "summary": "1 part"}}, http=503)
    assert ("degraded", "its status is degraded: 1 part") == told
    assert "is not ready yet" in says(service, http=503, message="Kibana server is not ready yet")[1]
    assert ("degraded", "answers HTTP 404 when asked for its status") == says(service, http=404)
    assert ("running", "") == says(service, status={"overall": {"level": "available"}})


def test_the_status_of_old_versions_has_its_words(folder: Path) -> None:
    """Up to 7: a colour, and the message of the first part that is not well."""
    service = kibana(folder, "5.1.1")
    service.do("install", "configure", "start")
    parts = [
        {"id": "plugin:kibana@5.1.1", "state": "green", "message": "Ready"},
        {"id": "plugin:elasticsearch@5.1.1", "state": "red", "message": "Unable to connect to Elasticsearch"},
    ]
    told = says(service, status={"overall": {"state": "red", "title": "Red"}, "statuses": parts})
    assert ("degraded", "its status is red: Unable to connect to Elasticsearch") == told
    assert ("running", "") == says(service, status={"overall": {"state": "green"}, "statuses": parts[:1]})


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        ("5.1.1", {"elasticsearch.url": "http://a:9200", "elasticsearch.ssl.verify": False, "logging.verbose": True}),
        (
            "7.10.2",
            {
                "elasticsearch.hosts": ["http://a:9200"],
                "elasticsearch.ssl.verificationMode": "none",
                "logging.verbose": True,
            },
        ),
        ("8.19.4", {"elasticsearch.hosts": ["http://a:9200"], "logging.root.level": "debug"}),
    ],
)
def test_each_version_gets_the_settings_that_it_knows(folder: Path, version: str, wanted: dict[str, object]) -> None:
    """And not those of another one."""
    service = kibana(folder, version, elasticsearch="http://a:9200", verify="none", log_level="debug")
    service.do("install", "configure")
    told = settings(service)
    assert wanted == {name: told[name] for name in wanted}
    assert ("elasticsearch.url" in told) is not ("elasticsearch.hosts" in told)


def test_several_urls_need_a_version_that_takes_them(folder: Path) -> None:
    """Refused, and nothing written."""
    service = kibana(folder, "5.1.1", elasticsearch="http://a:9200, http://b:9200")
    said = service.do("install")
    said = service.call("configure")
    assert (6, True) == (said.code, "parameter elasticsearch: before Kibana 6.6" in said.reason)
    assert not (service.root / "etc/kibana.yml").exists()
    service = kibana(folder, elasticsearch="http://a:9200, http://b:9200")
    service.do("install", "configure")
    assert ["http://a:9200", "http://b:9200"] == settings(service)["elasticsearch.hosts"]


def test_an_account_needs_its_password_and_excludes_a_token(folder: Path) -> None:
    """Told by the parameter's name."""
    service = kibana(folder, user="kibana_system")
    assert "parameter password: is needed for user" in service.call("install").reason
    service.secrets |= {"password": "secret", "token": "AAEAAWVsYXN0aWM"}
    assert "parameter token: does not go with user" in service.call("install").reason
    service.secrets = {"encryption_key": "short"}
    service.parameters["user"] = ""
    assert "parameter encryption_key: is shorter than 32 bytes" in service.call("install").reason
