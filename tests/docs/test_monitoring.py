"""docs/monitoring.md: what one copies from it works."""

import re
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from litestar.routes import HTTPRoute

from api.app import create_app
from api.principal import Permission
from api.services.standing import Word
from api.settings import Settings
from desired_state.report import Condition
from tests.docs.pages import CHECKOUT, DOCS
from tests.docs.test_reference import AGENT_METRIC, METRIC

PAGE = (DOCS / "monitoring.md").read_text(encoding="utf-8")
BLOCKS = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)]


def scrape_configs() -> list[dict[str, Any]]:
    """The jobs of the page."""
    found: list[dict[str, Any]] = next(block["scrape_configs"] for block in BLOCKS if "scrape_configs" in block)
    return found


def rules() -> list[dict[str, Any]]:
    """The alerts of the page."""
    groups = next(block["groups"] for block in BLOCKS if "groups" in block)
    return [rule for group in groups for rule in group["rules"]]


def known_metrics() -> set[str]:
    """Every metric that the code has."""
    backend = METRIC.findall((CHECKOUT / "api" / "metrics.py").read_text())
    agent = AGENT_METRIC.findall((CHECKOUT / "puller" / "metrics.py").read_text())
    return {*backend, *(f"towline_puller_{one}" for one in agent)}


def test_the_targets_are_asked_where_they_are_answered() -> None:
    """The job's URL is a route of the backend, for a token like the one that the page makes."""
    job = next(job for job in scrape_configs() if "http_sd_configs" in job)
    (found,) = job["http_sd_configs"]
    path = urlsplit(found["url"]).path
    routes = [route for route in create_app(Settings()).routes if isinstance(route, HTTPRoute) and route.path == path]
    assert [Permission.METRICS_READ] == [handler.opt["permission"] for handler in routes[0].route_handlers[:1]]
    assert "--scope metrics:read" in PAGE
    assert {"credentials_file": "/etc/prometheus/towline-token"} == found["authorization"]


def test_the_backends_metrics_are_asked_with_the_token() -> None:
    """By Prometheus's own path, /metrics."""
    job = next(job for job in scrape_configs() if "static_configs" in job)
    assert {"credentials_file": "/etc/prometheus/towline-token"} == job["authorization"]
    assert "metrics_path" not in job


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_each_alert_asks_for_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Names that the code has and docs/metrics.md documents; words of their labels that can be there; a summary."""
    names = set(re.findall(r"\b(towline_[a-z_]+)", rule["expr"]))
    assert names or "up{" in rule["expr"]
    assert set() == names - known_metrics()
    assert [] == [name for name in names if name not in (DOCS / "metrics.md").read_text()]
    words = set(re.findall(r'standing="([^"]+)"', rule["expr"]))
    assert words <= {word.value for word in Word}
    conditions = set(re.findall(r'type="([^"]+)"', rule["expr"]))
    assert conditions <= set(Condition.__annotations__["type"].__args__)
    jobs = set(re.findall(r'job="([^"]+)"', rule["expr"]))
    assert jobs <= {job["job_name"] for job in scrape_configs()}
    assert rule["annotations"]["summary"]


def test_an_alert_of_silence_drift_and_stalling_is_there() -> None:
    """The three that nobody should do without."""
    names = {rule["alert"] for rule in rules()}
    assert {"TowlineHostsStale", "TowlineDrift", "TowlineStalled"} <= names
