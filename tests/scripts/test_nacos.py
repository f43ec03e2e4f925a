"""nacosctl.sh: members, tables, the first password. Nacos is a stand-in here, MariaDB is real."""

from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest

from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.mysql import ask
from tests.scripts.kinds.nacos import SECRETS, database_of, on, opens, stand_ins

CASE = case_of("nacos")
UP = '{{"ip":"{0}","port":{1},"state":"{2}","extendInfo":{{"raftPort":"7848"}},"address":"{0}:{1}"}}'


def nacos(folder: Path, name: str = "registry", version: str = CASE.version, **parameters: str) -> Service:
    return Service(
        kind="nacos",
        name=name,
        folder=folder,
        version=version,
        packages=stand_ins(version),
        parameters={**CASE.parameters(0), **parameters},
        secrets=dict(SECRETS),
    )


def member(folder: Path) -> Service:
    """One of three, whose others are nowhere."""
    service = nacos(folder)
    port = service.parameters["port"]
    service.parameters["members"] = f"127.0.0.1:{port}, 192.0.2.2:8848, registry-3.example:8848"
    return service


def told(service: Service, **states: str) -> None:
    """What the members' page says from now on: of this one, and of the others."""
    seen = [UP.format("127.0.0.1", service.parameters["port"], states["this"])]
    seen += [UP.format(host, 8848, state) for host, state in (("192.0.2.2", states["two"]),)]
    if three := states.get("three"):
        seen.append(UP.format("registry-3.example", 8848, three))
    (service.root / "data/nodes").write_text(f'{{"code":200,"data":[{",".join(seen)}]}}')


def test_a_member_that_is_down_is_named(folder: Path) -> None:
    """It is asked with the header that only members have; a start does not wait for the others."""
    service = member(folder)
    service.do("install", "configure", "start")
    told(service, this="UP", two="UP", three="UP")
    assert "running" == service.state_now()
    told(service, this="UP", two="DOWN", three="SUSPICIOUS")
    said = service.status()
    lost = "192.0.2.2:8848 is DOWN, registry-3.example:8848 is SUSPICIOUS"
    assert (190, f"1 of 3 members are up: {lost}") == (said.code, said.reason)
    told(service, this="UP", two="UP")
    assert "2 of 3 members are up: registry-3.example:8848 is unknown" == service.status().reason


def test_listening_is_not_ready(folder: Path) -> None:
    """Its own words are the reason."""
    service = nacos(folder)
    service.do("install", "configure", "start")
    (service.root / "data/words").write_text("Config Module is not\nin readiness")
    (service.root / "data/status").write_text("500")
    port = service.parameters["port"]
    words = f"is not ready: HTTP 500 on port {port}: Config Module is not in readiness"
    assert ("degraded", words) == (service.state_now(), service.status().reason)


def test_members_share_their_secrets(folder: Path) -> None:
    """Made on each host, they would differ: members would not know each other, and a login would count on one only."""
    service = member(folder)
    service.secrets = {}
    said = service.call("install")
    assert (6, True, True) == (said.code, "parameter token_secret: " in said.reason, "identity_secret: " in said.reason)


def test_a_member_is_one_of_the_members(folder: Path) -> None:
    """By the address that it is told by, and its port."""
    service = member(folder)
    service.parameters["address"] = "192.0.2.9"
    said = service.call("install")
    wanted = f"parameter members: has not this one: 192.0.2.9:{service.parameters['port']}"
    assert (6, wanted) == (said.code, said.reason)


def test_the_members_are_the_declared_ones(folder: Path) -> None:
    """Nacos writes down which it saw, and would believe that more at its next start."""
    service = member(folder)
    service.do("install", "configure", "start", "stop")
    written = service.root / "data/conf/cluster.conf"
    written.write_text("192.0.2.99:8848\n")
    service.do("start")
    assert not written.exists()
    assert "nacos.member.list=127.0.0.1:" in (service.root / "etc/application.properties").read_text()


def test_nacos_3_does_not_go_back(folder: Path) -> None:
    """Nacos 2 would start, and see none of the configurations; an empty service is another matter."""
    service = nacos(folder)
    service.do("install", "configure")
    (service.root / "data/data/derby-data").mkdir(parents=True)
    (service.root / "data-series").write_text("3\n")
    said = service.call("start")
    assert (6, True) == (said.code, said.reason.startswith("Nacos 2 does not see what Nacos 3 has kept"))
    (service.root / "data/data/derby-data").rmdir()
    service.do("start")
    assert "2\n" == (service.root / "data-series").read_text()


def test_alone_it_makes_its_own_secrets_once(folder: Path) -> None:
    """Configured again, everybody stays logged in."""
    service = nacos(folder)
    service.secrets = {}
    service.do("install", "configure")
    before = (service.root / "etc/application.properties").read_text()
    assert "0" == service.do("configure").changed
    assert before == (service.root / "etc/application.properties").read_text()
    assert "secret.key=\n" not in before


def asked(service: Service) -> list[str]:
    """How its password was set and changed until now."""
    return (service.root / "data/asked").read_text().splitlines()


@pytest.mark.parametrize(
    ("version", "how"),
    [
        ("2.3.2", "PUT /nacos/v1/auth/users"),
        ("2.5.1", "POST /nacos/v1/auth/users/admin"),
        ("3.1.0", "POST /nacos/v3/auth/user/admin"),
    ],
)
def test_the_declared_password_opens_it_after_the_start(folder: Path, version: str, how: str) -> None:
    """In the place of upstream's own, which opens it no longer, or as the first one; the next start changes nothing."""
    service = nacos(folder, version=version)
    service.do("install", "configure", "start")
    assert [True, False] == [opens(service, SECRETS["admin_password"]), opens(service, "nacos")]
    assert "0" == service.do("start").changed
    service.do("restart")
    assert [how] == asked(service)


def test_the_declared_password_opens_it_after_an_upgrade(folder: Path) -> None:
    """Nacos 3 keeps the accounts of 2, and takes no first password where there is one: it is changed."""
    service = nacos(folder)
    service.secrets.pop("admin_password")
    service.do("install", "configure", "start", "stop")
    service.version, service.packages = "3.1.0", stand_ins("3.1.0")
    service.secrets = {**SECRETS, "admin_password": "another one"}
    (service.root / "data/password").write_text(sha256(b"by hand").hexdigest())
    service.do("install", "configure", "start")
    assert [True, False] == [opens(service, "another one"), opens(service, "by hand")]
    assert ["PUT /nacos/v3/auth/user"] == asked(service)


@pytest.mark.parametrize("version", ["2.3.2", "3.1.0"])
def test_another_password_is_reloaded(folder: Path, version: str) -> None:
    """The same process lets nobody in with the one before; a second time there is nothing to do."""
    service = nacos(folder, version=version)
    service.do("install", "configure", "start")
    before = service.process()
    service.secrets = {**SECRETS, "admin_password": "the next one"}
    service.do("configure")
    assert ["1", "0"] == [service.do("reload").changed for _ in range(2)]
    assert [True, False] == [opens(service, "the next one"), opens(service, SECRETS["admin_password"])]
    assert before == service.process()


def test_without_a_declared_password_nobody_changes_it(folder: Path) -> None:
    """What stands on the console is the operator's."""
    service = nacos(folder)
    service.secrets.pop("admin_password")
    service.do("install", "configure", "start")
    assert (True, False) == (opens(service, "nacos"), (service.root / "data/asked").exists())


def test_a_long_token_secret_signs_too(folder: Path) -> None:
    """One that is longer than a block of its digest is taken by its own digest."""
    service = nacos(folder)
    service.secrets["token_secret"] = b64encode(bytes(range(100))).decode()
    service.do("install", "configure", "start")
    assert opens(service, SECRETS["admin_password"])


@pytest.mark.parametrize(("version", "what"), [("2.3.2", "change"), ("2.5.1", "set")])
def test_a_refused_password_fails_the_start(folder: Path, version: str, what: str) -> None:
    """Until it is taken."""
    service = nacos(folder, version=version)
    service.do("install", "configure")
    (service.root / "data").mkdir(exist_ok=True)
    (service.root / "data/refuses").write_text('{"code":500,"data":"too short"}')
    said = service.call("start")
    assert (1, f"refuses to {what} the password of the user nacos: HTTP 200") == (said.code, said.reason)
    (service.root / "data/refuses").unlink()
    service.do("start")
    assert opens(service, SECRETS["admin_password"])


@pytest.mark.parametrize(
    ("password", "words"),
    [("x" * 73, "is longer than 72 bytes"), ("  ", "is of blanks alone"), ("a\nb", "has a line end")],
)
def test_a_password_that_no_login_can_have_is_refused(folder: Path, password: str, words: str) -> None:
    """Before anything is touched."""
    service = nacos(folder)
    service.secrets["admin_password"] = password
    said = service.call("install")
    assert (6, True) == (said.code, said.reason.startswith(f"parameter admin_password: {words}"))


@pytest.fixture
def database(folder: Path) -> Service:
    """An empty database of MariaDB."""
    return database_of(folder)


def test_the_tables_are_made_in_an_empty_database(folder: Path, database: Service) -> None:
    """By several that come at the same time; with the rows of upstream's file, which never come again."""
    first, second = on(database, nacos(folder, "one")), on(database, nacos(folder, "two"))
    for service in (first, second):
        service.do("install", "configure")
    starts = [service.begin("start") for service in (first, second)]
    assert [0, 0] == [start.wait().code for start in starts]
    assert "config_info\nusers" == ask(database, "SHOW TABLES IN nacos")
    assert "nacos" == ask(database, "SELECT username FROM nacos.users")
    assert "" == ask(database, "DELETE FROM nacos.users; DROP TABLE nacos.config_info")
    third = on(database, nacos(folder, "three"))
    third.do("install", "configure", "start")
    assert "config_info\nusers" == ask(database, "SHOW TABLES IN nacos")


def test_tables_that_are_there_are_left_alone(folder: Path, database: Service) -> None:
    """A newer file adds what is missing, and no rows: somebody has deleted the first user for a reason."""
    said = ask(database, "CREATE TABLE nacos.config_info (id INT); INSERT INTO nacos.config_info VALUES (7)")
    assert "" == said
    service = on(database, nacos(folder))
    service.do("install", "configure", "start")
    assert "7" == ask(database, "SELECT id FROM nacos.config_info")
    assert "0" == ask(database, "SELECT COUNT(*) FROM nacos.users")


def test_a_database_that_is_away_is_named(folder: Path, database: Service) -> None:
    """Before Nacos is started, where there is a client to find out."""
    service = on(database, nacos(folder))
    service.do("install", "configure")
    database.do("stop")
    said = service.call("start")
    assert (1, "stopped") == (said.code, service.state_now())
    assert said.reason.startswith("its database: ")
    database.do("start")
    assert eventually(60, lambda: service.call("start").code == 0)
