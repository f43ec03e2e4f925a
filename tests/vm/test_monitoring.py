"""From the paste to the graph: node exporter comes with the host, and Prometheus finds it by asking the backend."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.end_to_end.demo import catalogue
from tests.middleware import node_exporter_archive, prometheus_archive
from tests.vm import shop
from tests.vm.host import Host
from tests.vm.waiting import until

EXPORTER_PORT, PROMETHEUS_PORT = 9100, 9090


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host]) -> Host:
    """A fresh VM with the command pasted into it; node exporter is declared for every host, Prometheus for this one."""
    made = new_host("watched", "bookworm")
    site = made.site
    for package in (node_exporter_archive("1.9.0"), prometheus_archive("2.53.3")):
        site.add_package(package)
    token = site.run("token", "create", "prometheus", "--role", "viewer", "--scope", "metrics:read").split()[-1]
    site.run("secret", "set", "prometheus-token", given=token)
    site.catalogue.write({"catalogue/hosts/watched.yaml": catalogue.host("watched", site="fra")})
    site.declare(None, **{"node-exporter": shop.node_exporter(), "graphs": shop.graphs("watched")})
    made.paste()
    made.until_converged()
    return made


def _query(host: Host, expression: str) -> list[dict[str, Any]]:
    ask = 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "GET %s HTTP/1.0\\r\\n\\r\\n" "$1" >&3 && cat <&3'
    path = f"/api/v1/query?{urlencode({'query': expression})}"
    said = host.machine.run("bash", "-c", ask, str(PROMETHEUS_PORT), path, accept=None).out
    body = said.partition("\r\n\r\n")[2]
    found: list[dict[str, Any]] = json.loads(body)["data"]["result"] if body.startswith("{") else []
    return found


def _awaited(host: Host, expression: str) -> dict[str, Any]:
    until(expression, lambda: _query(host, expression), seen=lambda: _query(host, "up"))
    found: dict[str, Any] = _query(host, expression)[0]
    return found


def test_the_host_is_a_target_without_a_further_step(host: Host) -> None:
    """The backend tells Prometheus where the exporter of this host is: no ssh, no password, no file of targets."""
    groups = {group["labels"]["service"]: group for group in host.site.ask("/v1/prometheus/targets")}
    assert [f"{host.machine.address}:{EXPORTER_PORT}"] == groups["node-exporter"]["targets"]
    assert ("watched", "fra") == tuple(groups["node-exporter"]["labels"][name] for name in ("host", "label_site"))


def test_nothing_else_listens(host: Host) -> None:
    """On the VM's network the exporter listens, and nothing that nobody declared."""
    assert [EXPORTER_PORT] == sorted({port for _, port, _ in host.machine.listening()})


def test_prometheus_has_the_machine_and_the_agent(host: Host) -> None:
    """A real Prometheus scrapes the machine's load and the agent's own last pass, under the name of the host."""
    assert "1" == _awaited(host, 'up{job="towline",service="node-exporter"}')["value"][1]
    assert "watched" == _awaited(host, "node_load1")["metric"]["host"]
    assert "watched" == _awaited(host, "towline_puller_applied_revision > 0")["metric"]["host"]


def test_an_exporter_that_died_is_news_until_it_is_back(host: Host) -> None:
    """It stays a target while it is down, `up` falls to 0, and the agent has it back."""
    host.ctl("stop")  # it would be quicker than a scrape
    host.machine.run("systemctl", "stop", "towline-node-exporter.service")
    _awaited(host, 'min_over_time(up{service="node-exporter"}[1m]) == 0')
    host.ctl("start")
    _awaited(host, 'up{service="node-exporter"} == 1')
    host.until_converged()
