"""skywalkingctl.sh: what the settings come to, and what each role's health means; on a stand-in for SkyWalking."""

from pathlib import Path

import msgspec
import pytest

from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.servers.process import free_port

CASE = case_of("skywalking")
HOSTILE = 'it\'s "quoted" \\ ${HOME} #: {x}'


def skywalking(folder: Path, name: str = "traces", secrets: dict[str, str] | None = None, **parameters: str) -> Service:
    return Service(
        kind="skywalking",
        name=name,
        folder=folder,
        version=CASE.version,
        packages=CASE.packages(),
        parameters={**CASE.parameters(free_port()), **parameters},
        secrets=secrets,
    )


def settings(service: Service) -> dict[str, dict[str, object]]:
    """application.yml, as YAML reads it."""
    text = (service.root / "etc/config/application.yml").read_bytes()
    return msgspec.yaml.decode(text, type=dict[str, dict[str, object]])


@pytest.mark.parametrize(
    ("storage", "url", "user_at", "password_at"),
    [
        ("mysql", "jdbc:mysql://db:3306/sw?a=b&c=d", "dataSource.user", "dataSource.password"),
        ("elasticsearch", "search-1:9200,search-2:9200", "user", "password"),
    ],
)
def test_a_password_is_what_skywalking_reads(
    folder: Path, storage: str, url: str, user_at: str, password_at: str
) -> None:
    """It reads the file as YAML, fills what looks like a variable, and reads each value as YAML again."""
    service = skywalking(
        folder, secrets={"storage_password": HOSTILE}, storage=storage, storage_url=url, storage_user="sky: #1"
    )
    service.do("install", "configure")
    told = settings(service)["storage"]
    assert storage == told["selector"]
    section = told[storage]
    assert isinstance(section, dict)
    values = section.get("properties", section)
    assert "${" not in values[password_at]
    assert (HOSTILE, "sky: #1") == tuple(msgspec.yaml.decode(values[name]) for name in (password_at, user_at))


def test_what_is_not_set_stays_upstreams(folder: Path) -> None:
    """Only the places that a parameter or extra names are filled."""
    service = skywalking(folder, extra="# faster\nSW_CORE_PERSISTENT_PERIOD=7", metrics_port="")
    service.do("install", "configure")
    core = settings(service)["core"]["default"]
    assert isinstance(core, dict)
    assert "7" == str(core["persistentPeriod"])
    assert "${SW_CORE_REST_CONTEXT_PATH:/}" == core["restContextPath"]
    assert "${SW_TELEMETRY:none}" == settings(service)["telemetry"]["selector"]


def test_a_name_that_the_version_does_not_have_is_refused(folder: Path) -> None:
    """Else it would be a setting that sets nothing."""
    service = skywalking(folder, extra="SW_INVENTED=1")
    service.do("install")
    said = service.call("configure")
    wanted = "parameter extra or storage: 10.1.0 has no place in its application.yml for SW_INVENTED"
    assert (6, wanted) == (said.code, said.reason)


def test_an_oap_that_answers_no_query_is_degraded(folder: Path) -> None:
    """Its HTTP server alone is not enough."""
    service = skywalking(folder)
    service.do("install", "configure", "start")
    assert "running" == service.state_now()
    (service.root / "data/answer").write_text('{"errors":[{"message":"no storage"}]}')
    said = service.status()
    port = service.parameters["port"]
    assert ("degraded", True) == (
        said.facts["state"],
        said.reason.startswith(f"answers no query for its version on port {port} within "),
    )
    (service.root / "data/answer").unlink()
    assert "running" == service.state_now()


def test_a_web_ui_is_well_with_its_oap(folder: Path) -> None:
    """It serves a page, and passes the query on; without an answer it says which OAP it has none from."""
    service = skywalking(folder, "page", role="ui", oap_addresses="http://127.0.0.1:12800", extra="")
    service.do("install", "configure", "start")
    said = service.status()
    assert ("running", [service.parameters["port"]]) == (said.facts["state"], said.all("port"))
    assert "http://127.0.0.1:12800" == settings_text(service)["oapServices"]
    (service.root / "data/answer").write_text("")
    assert service.status().reason.startswith("has no answer from its OAP (http://127.0.0.1:12800): ")


def settings_text(service: Service) -> dict[str, object]:
    """The UI's application.yml."""
    text = (service.root / "etc/config/application.yml").read_bytes()
    return msgspec.yaml.decode(text, type=dict[str, object])
