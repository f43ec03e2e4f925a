"""redis_exporterctl.sh and mysqld_exporterctl.sh beside what they ask: real Valkey, and a MySQL that says no."""

from pathlib import Path

from tests.scripts.calling import Service
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.redis_exporter import PASSWORD
from tests.servers.process import free_port


def exporter(kind: str, folder: Path, **secrets: str) -> Service:
    """With what it asks running beside it."""
    case = case_of(kind)
    service = Service(
        kind=kind,
        name="exporter",
        folder=folder,
        version=case.version,
        packages=case.packages(),
        parameters={**case.parameters(free_port()), "start_timeout": "5s"},
        secrets=secrets or case.secrets,
    )
    case.prepare(service)
    return service


def valkey_of(service: Service) -> Service:
    """The Valkey that the case has put beside it."""
    return Service(kind="redis", name="cache", folder=service.folder / "beside", parameters={}, secrets={})


def test_an_exporter_that_reaches_nobody_is_degraded(folder: Path) -> None:
    """It runs and answers, and its page says why it knows nothing; it is well again when its Redis is back."""
    service = exporter("redis_exporter", folder)
    service.do("install", "configure", "start")
    valkey_of(service).do("stop")
    said = service.status()
    why = f"shows redis_up 0: {service.parameters['target']} does not answer it, or refuses the password"
    assert (190, why) == (said.code, said.reason)
    valkey_of(service).do("start")
    assert "running" == service.state_now()


def test_a_password_that_is_not_taken_is_told(folder: Path) -> None:
    """And neither the right nor the wrong one stands there."""
    service = exporter("redis_exporter", folder, password="canary-wrong")
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, said.reason.endswith("or refuses the password")), said.reason
    assert [] == [text for text in ("canary-wrong", PASSWORD) if text in said.out + said.err]


def test_without_its_password_nobody_lets_it_in(folder: Path) -> None:
    """A secret that the document does not name is none; Redis says so."""
    service = exporter("redis_exporter", folder)
    service.secrets.clear()
    service.do("install", "configure")
    said = service.call("start")
    assert (1, True) == (said.code, "NOAUTH" in said.reason), said.reason


def test_a_server_that_refuses_the_account_is_told(folder: Path) -> None:
    """`mysql_up 0` is no health, though the page is there."""
    service = exporter("mysqld_exporter", folder, password="canary-wrong")
    service.do("install", "configure")
    said = service.call("start")
    target = service.parameters["target"]
    expected = f"exporter is not healthy after 5 s: shows mysql_up 0: {target} does not answer it; why, its log says"
    assert (1, expected) == (said.code, said.reason)
    log = (service.root / "log/exporter.log").read_text()
    assert ("Access denied" in log, "canary-wrong" in log) == (True, False)
    service.secrets["password"] = case_of("mysqld_exporter").secrets["password"]
    service.do("configure", "restart")
    assert "running" == service.state_now()
