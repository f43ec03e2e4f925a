"""prometheusctl.sh against real Prometheus."""

import json
import os
import signal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec

from tests.scripts.calling import Service, eventually
from tests.scripts.kinds.case import case_of
from tests.scripts.kinds.http import body_of, serving
from tests.scripts.kinds.prometheus import query
from tests.servers.process import free_port

CASE = case_of("prometheus")


def prometheus(folder: Path, name: str = "metrics", token: str = "", **parameters: str) -> Service:
    port = str(free_port())
    return Service(
        kind="prometheus",
        name=name,
        folder=folder,
        version=CASE.version,
        packages=CASE.packages(),
        parameters={"port": port, "scrape_interval": "1s", "scrape_timeout": "1s", **parameters},
        secrets={"sd_token": token} if token else {},
    )


def configuration(service: Service) -> dict[str, object]:
    """What is on disk, as YAML means it."""
    text = (service.root / "etc/prometheus.yml").read_bytes()
    read: dict[str, object] = msgspec.yaml.decode(text)
    return read


class Backend(ThreadingHTTPServer):
    """Tells one target to whoever has the token, as the backend does."""

    def __init__(self, token: str, target: str) -> None:
        super().__init__(("127.0.0.1", 0), Answering)
        self.token, self.target, self.refused = token, target, 0


class Answering(BaseHTTPRequestHandler):
    """One request."""

    server: Backend

    def do_GET(self) -> None:
        """Targets, or 401."""
        allowed = self.headers.get("Authorization") == f"Bearer {self.server.token}"
        self.server.refused += not allowed
        labels = {"host": "web-1", "service": "shop", "kind": "java", "__metrics_path__": "/metrics"}
        body = json.dumps([{"targets": [self.server.target], "labels": labels}]).encode()
        self.send_response(200 if allowed else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body if allowed else b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Quiet."""


def test_targets_are_told_by_the_backend(folder: Path) -> None:
    """Asked with the token of the secret file, and scraped with the labels that the backend gave."""
    service = prometheus(folder, token="tow-api-token", self_scrape="false", sd_interval="5s")
    with serving(Backend("tow-api-token", f"127.0.0.1:{service.parameters['port']}")) as told:
        service.parameters["sd_url"] = f"http://127.0.0.1:{told.server_port}/v1/prometheus/targets"
        service.do("install", "configure", "start")
        assert eventually(30, lambda: query(service, 'up{job="towline"} == 1') != [])
        ((labels, _),) = query(service, 'up{job="towline"}')
        assert ("web-1", "shop", "java") == (labels["host"], labels["service"], labels["kind"])
        assert 0 == told.refused


def test_what_promtool_refuses_changes_nothing(folder: Path) -> None:
    """A rule with a mistake comes back in promtool's words; the files and the running process stay as they were."""
    service = prometheus(folder)
    service.do("install", "configure", "start")
    before = configuration(service), service.status().identity
    service.parameters["rules"] = "groups: [{ name: a, rules: [{ alert: A, expr: 'up ==' }] }]"
    said = service.call("configure")
    assert (6, True) == (said.code, "promtool refuses the configuration: " in said.reason)
    assert "could not parse expression" in said.reason
    assert str(service.root) not in said.reason
    assert before == (configuration(service), service.status().identity)
    assert "running" == service.state_now()


def test_a_job_of_ones_own_stays_below_scrape_configs(folder: Path) -> None:
    """Free text is a part of its list, however it is indented: it cannot become another setting."""
    service = prometheus(folder)
    service.do("install")
    service.parameters["scrape_configs"] = "- job_name: own\n  static_configs: [{ targets: ['127.0.0.1:9'] }]"
    service.do("configure")
    jobs = [job["job_name"] for job in configuration(service)["scrape_configs"]]  # type: ignore[attr-defined]
    assert ["prometheus", "own"] == jobs
    service.parameters["scrape_configs"] += "\nremote_write: [{ url: 'http://127.0.0.1:9/' }]"
    assert 6 == service.call("configure").code


def test_a_reload_takes_hold_and_keeps_the_process(folder: Path) -> None:
    """New labels are in what the server itself says of its configuration."""
    service = prometheus(folder)
    service.do("install", "configure", "start")
    before = service.status().identity
    service.parameters |= {
        "replica": "a",
        "external_labels": 'site=north "1"\nteam=x',
        "alertmanagers": "127.0.0.1:9093",
    }
    service.do("configure")
    assert "degraded" == service.state_now()
    assert "1" == service.do("reload").changed
    assert (before, "running") == (service.status().identity, service.state_now())
    answer = json.loads(body_of(service, "/api/v1/status/config"))
    loaded = msgspec.yaml.decode(answer["data"]["yaml"])
    assert {"replica": "a", "site": 'north "1"', "team": "x"} == loaded["global"]["external_labels"]
    assert "labeldrop" == loaded["alerting"]["alert_relabel_configs"][0]["action"]
    assert "0" == service.do("reload").changed


def test_a_reload_refuses_what_needs_a_restart(folder: Path) -> None:
    """It names the parameter."""
    service = prometheus(folder)
    service.do("install", "configure", "start")
    service.parameters["retention"] = "30d"
    service.do("configure")
    said = service.call("reload")
    assert (5, "needs a restart, not a reload: retention") == (said.code, said.reason)


def test_a_configuration_that_cannot_be_read_is_degraded(folder: Path) -> None:
    """Prometheus runs on with the earlier one; that is said, and repaired by configure and reload."""
    service = prometheus(folder)
    service.do("install", "configure", "start")
    before = service.process()
    (service.root / "etc/prometheus.yml").write_text("scrape_configs: 1\n")
    os.kill(before, signal.SIGHUP)
    wanted = "could not read its configuration, and keeps the earlier one: its log says why"
    assert eventually(60, lambda: service.status().reason == wanted)
    assert "degraded" == service.state_now()
    service.do("configure", "reload")
    assert ("running", before) == (service.state_now(), service.process())


def test_the_token_tells_nothing_by_its_digest(folder: Path) -> None:
    """Its file ends in bits of the host's salt, as white space: the same token has another digest elsewhere."""
    one, two = prometheus(folder, "one", token="t0ken"), prometheus(folder, "two", token="t0ken")
    for service in (one, two):
        service.do("install", "configure")
    held = [(service.root / "etc/sd_token").read_text() for service in (one, two)]
    assert ["t0ken", "t0ken"] == [text.strip() for text in held]
    assert held[0] != held[1]
    assert [128, 128] == [len(text) - len("t0ken\n") for text in held]
