"""/metrics: where hosts stand and what this process counted; for those who may see it."""

from prometheus_client.parser import text_string_to_metric_families

from api.principal import Role
from tests.api.house import House, settings_for
from tests.api.test_host_api import BODY, enrolled, published, send


def values(text: bytes) -> dict[str, float]:
    """Every sample by name and labels, parsed as Prometheus does."""
    return {
        sample.name + "".join(f" {key}={value}" for key, value in sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_hosts_are_counted_by_where_they_stand(house: House) -> None:
    """One host that reported and one that never did; words that nobody has are told as 0."""
    published(house)
    house.ask("PUT", "/v1/catalogue/hosts/beta", {"host": "beta"}, If_None_Match="*")
    send(house, enrolled(house), BODY)
    found = values(house.ask("GET", "/metrics", role=Role.VIEWER).content)
    assert found["towline_hosts standing=never_reported"] == 1
    assert found["towline_hosts standing=failed"] == 0
    assert sum(value for name, value in found.items() if name.startswith("towline_hosts standing=")) == 2
    assert found["towline_hosts_health health=healthy"] == 1


def test_a_process_counts_what_it_did(house: House) -> None:
    """One publication with one document, one delivery."""
    published(house)
    send(house, enrolled(house), BODY)
    found = values(house.ask("GET", "/metrics").content)
    assert {
        name: found[name]
        for name in (
            "towline_publications_total outcome=complete",
            "towline_documents_issued_total",
            "towline_deliveries_total outcome=stored",
            "towline_ingest_seconds_count",
        )
    } == {
        "towline_publications_total outcome=complete": 1,
        "towline_documents_issued_total": 1,
        "towline_deliveries_total outcome=stored": 1,
        "towline_ingest_seconds_count": 1,
    }


def test_no_series_names_a_host(house: House) -> None:
    """Ten thousand hosts are as many series as one."""
    published(house)
    send(house, enrolled(house), BODY)
    assert b"alpha" not in house.ask("GET", "/metrics").content


def test_metrics_are_not_for_everybody(small_house: House) -> None:
    """401 without a token."""
    assert [small_house.ask("GET", "/metrics", role=role).status for role in (None, Role.VIEWER)] == [401, 200]


def test_this_machine_may_be_let_in(small_house: House) -> None:
    """With metrics_from_loopback a caller that is not on this machine still needs a token."""
    folder = small_house.settings.state_folder.parent / "other"
    settings = settings_for(f"sqlite:///{folder}.db", folder, server={"metrics_from_loopback": True})
    with House(settings).open() as house:
        assert house.ask("GET", "/metrics", role=None).status == 401
