"""GET /v1/prometheus/targets: what Prometheus shall scrape, in its own form."""

import zlib
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from api.principal import Role
from api.publish.bundle import kinds_of_shipped
from api.repositories.monitoring import SaidRow
from api.services.monitoring import TargetGroup, address_of, target_groups
from desired_state.catalogue import HostEntry, Placement, ServiceEntry
from tests.api.house import FAKE_CTL, SHIPPED, START, House
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost

PATH = "/v1/prometheus/targets"
METRICS = '"metrics": [{"port": "port", "path": "/stub_status"}], "parameters":'
NGINX = FAKE_CTL.replace("KIND", "nginx").replace("PORT", "8080").replace('"parameters":', METRICS).encode()
WEB = ServiceEntry(service="web", kind="nginx", version="7", placement=Placement(labels={"role": "web"}))
CACHE = ServiceEntry(service="cache", kind="redis", version="7", placement=Placement(labels={"role": "web"}))


class World:
    """A backend with hosts on paper, which run nginx (with a page of metrics) and redis (without)."""

    def __init__(self, house: House) -> None:
        self.house = house
        assert house.backend is not None
        house.backend.shipped = {**SHIPPED, "nginxctl.sh": NGINX}
        self.papers: dict[str, PaperHost] = {}

    def host(self, name: str, *, said: str = "", service: ServiceEntry = WEB, **declared: Any) -> PaperHost:
        """A host that converged, and reported `said` as its address."""
        paper = self.papers[name] = PaperHost(name)
        labels = {"role": "web", **declared.pop("labels", {})}

        async def tell(engine: Any) -> None:
            fleet = PaperFleet(engine, START)
            entry = HostEntry(host=name, labels=labels, **declared)
            await fleet.change("It runs the web", "ana", START, service, CACHE, entry)
            await fleet.enrol(name)
            await fleet.roll_out(paper, START)

        self.house.run(tell)
        self.report(paper, said=said)
        return paper

    def report(self, paper: PaperHost, *, said: str = "") -> None:
        """What the host says now."""
        status = replace(paper.status(START), address=said)
        told = paper.report(START, status)
        self.house.run(lambda engine: PaperFleet(engine, START).ingest(told, seen_at=START))

    def targets(self) -> list[dict[str, Any]]:
        """What Prometheus gets."""
        answer = self.house.ask("GET", PATH, role=Role.VIEWER)
        assert (200, "application/json") == (answer.status, answer.headers["content-type"])
        found: list[dict[str, Any]] = answer.json
        return found

    def addresses(self) -> list[str]:
        """Of each group its one target."""
        return [target for group in self.targets() for target in group["targets"]]


@pytest.fixture
def world(house: House) -> World:
    """On each database."""
    return World(house)


@pytest.fixture
def small(small_house: House) -> World:
    """On SQLite, for what does not depend on the database."""
    return World(small_house)


def test_a_running_service_with_metrics_is_a_target(world: World) -> None:
    """One group per service: where, host, service, kind, path, and labels of the host; others are not told."""
    world.host("web-1.fra", labels={"dc": "fra", "towline.example/tier": "1"})
    expected = {
        "targets": ["web-1.fra:8080"],
        "labels": {
            "host": "web-1.fra",
            "service": "web",
            "kind": "nginx",
            "__metrics_path__": "/stub_status",
            "label_dc": "fra",
            "label_role": "web",
            "label_towline_example_tier": "1",
        },
    }
    assert [expected] == world.targets()


EXPORTERS = {"redis_exporter": 9121, "mysqld_exporter": 9104, "node_exporter": 9100}


@pytest.mark.parametrize("kind", EXPORTERS)
def test_an_exporter_is_a_target_without_a_further_step(kind: str) -> None:
    """Its own `meta`, as it ships, says where its page is."""
    status = {"services": [{"name": "exporter", "kind": kind, "observation": {"state": "running"}}]}
    row = SaidRow(host="db-1", packed=zlib.compress(msgspec.json.encode(status)), entry=None)
    labels = {"host": "db-1", "service": "exporter", "kind": kind, "__metrics_path__": "/metrics"}
    expected = [TargetGroup(targets=(f"db-1:{EXPORTERS[kind]}",), labels=labels)]
    assert expected == target_groups([row], kinds_of_shipped())


def test_no_targets_are_an_empty_list(small: World) -> None:
    """Prometheus wants 200 and `[]` then."""
    assert [] == small.targets()


def test_the_port_is_the_one_that_was_applied(small: World) -> None:
    """Not the default: what stands in the configuration on the host."""
    small.host("web-1", service=replace(WEB, parameters={"port": 9145}))
    assert ["web-1:9145"] == small.addresses()


def test_the_declared_address_outweighs_the_reported_one(small: World) -> None:
    """Declared, else what the host says, else its name."""
    small.host("web-1", said="192.0.2.7", address="web-1.internal")
    small.host("web-2", said="192.0.2.8")
    small.host("web-3")
    assert ["web-1.internal:8080", "192.0.2.8:8080", "web-3:8080"] == small.addresses()


@pytest.mark.parametrize(
    ("declared", "said", "expected"),
    [
        ("2001:db8::1", "", "[2001:db8::1]"),
        ("", "2001:db8::2", "[2001:db8::2]"),
        ("", "evil.example", "h"),
        ("", "192.0.2.1:22/x?", "h"),
        ("", "fe80::1%eth0", "h"),
        ("", "192.0.2.1\n", "h"),
        ("", "", "h"),
    ],
)
def test_what_a_host_says_is_an_ip_address_or_nothing(declared: str, said: str, expected: str) -> None:
    """A host chooses an address of its own at most, never a name or a path that Prometheus would follow."""
    assert expected == address_of("h", declared, said)


@pytest.mark.parametrize("port", ["0", "65536", "80/x", "", "８０", "-1"])
def test_what_is_no_port_is_no_target(small: World, port: str) -> None:
    """A host that reports nonsense is left out, and nothing breaks."""
    paper = small.host("web-1")
    paper.record["web"] = replace(paper.record["web"], parameters={"port": port})
    small.report(paper)
    assert [] == small.addresses()


def test_a_degraded_and_a_dead_service_stay(small: World) -> None:
    """What should be up is scraped: `up == 0` is the alert."""
    for name, state in (("web-1", "degraded"), ("web-2", "stopped"), ("web-3", "unknown")):
        paper = small.host(name)
        paper.see("web", state=state)
        small.report(paper)
    assert ["web-1:8080", "web-2:8080", "web-3:8080"] == small.addresses()


def test_what_somebody_stopped_goes(small: World) -> None:
    """A service that was stopped or removed on somebody's word is no target any more."""
    for name, state in (("web-1", "stopped"), ("web-2", "absent")):
        small.host(name, service=replace(WEB, state=state)).see("web", state=state)
        small.report(small.papers[name])
    assert [] == small.addresses()


def test_a_service_that_never_ran_is_no_target_yet(small: World) -> None:
    """Before its first start there is nothing to alert on."""
    paper = small.host("web-1")
    del paper.record["web"]
    paper.see("web", state="absent")
    small.report(paper)
    assert [] == small.addresses()


def test_a_silent_host_stays(small: World) -> None:
    """A month without a word: it is still listed, so that somebody hears of it."""
    small.host("web-1")
    small.house.time += timedelta(days=30)
    assert ["web-1:8080"] == small.addresses()


def test_a_host_that_the_catalogue_forgot_stays(small: World) -> None:
    """Absence is no order: without labels, and as long as it is enrolled."""
    small.host("web-1", address="192.0.2.9")
    small.house.ask("DELETE", "/v1/catalogue/hosts/web-1", **_matching(small, "web-1"))
    assert [("web-1:8080", {"host", "service", "kind", "__metrics_path__"})] == [
        (group["targets"][0], set(group["labels"])) for group in small.targets()
    ]


def _matching(world: World, name: str) -> dict[str, str]:
    return {"If_Match": world.house.ask("GET", f"/v1/catalogue/hosts/{name}").headers["etag"]}


def test_a_token_for_metrics_is_enough(small: World) -> None:
    """Prometheus needs one narrow token, for this and for /metrics."""
    body = {"name": "prometheus", "role": "viewer", "scopes": ["metrics:read"]}
    bearer = {"Authorization": f"Bearer {small.house.ask('POST', '/v1/tokens', body).json['secret']}"}
    answers = [small.house.ask("GET", path, role=None, **bearer).status for path in (PATH, "/metrics", "/v1/fleet")]
    assert ([200, 200, 403], 401) == (answers, small.house.ask("GET", PATH, role=None).status)
