"""What can be called, set, asked or scraped is documented."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import CHECKOUT, DOCS
from tests.docs.reference import pages

METRIC = re.compile(r'"(towline_[a-z_]+)"')
AGENT_METRIC = re.compile(r'(?:_gauge|Metric)\(\s*"([a-z_]+)"')


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_the_reference_says_what_the_code_says(page: Path) -> None:
    """Commands, settings and endpoints stand in the pages as they stand in the code; else run `nox -s reference`."""
    assert page.read_text(encoding="utf-8") == pages()[page]


def test_every_metric_is_documented() -> None:
    """docs/metrics.md names each metric of the backend and of the agent."""
    backend = METRIC.findall((CHECKOUT / "api" / "metrics.py").read_text())
    agent = AGENT_METRIC.findall((CHECKOUT / "puller" / "metrics.py").read_text())
    assert len(backend) > 10
    assert len(agent) > 5
    text = (DOCS / "metrics.md").read_text()
    assert [name for name in (*backend, *(f"towline_puller_{one}" for one in agent)) if name not in text] == []
