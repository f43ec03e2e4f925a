"""A host whose clock is two days off says so by itself: in its status, by a pass that cannot reach the backend."""

import json
import ssl
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from puller.paths import Paths
from puller.transport.server_date import skew_told
from tests.fakes.real_host import CHECKOUT
from tests.puller_edge.examined import host
from tests.puller_edge.http_server import Exchange, serving
from tests.puller_edge.test_doctor_network import self_signed

DAY = timedelta(days=1)


def ready(paths: Paths) -> dict[str, Any]:
    """The condition Ready after one pass by hand."""
    command = [sys.executable, "-m", "puller.cli", "--prefix", paths.prefix, "once", "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=CHECKOUT, check=False, timeout=60)
    conditions = json.loads(ended.stdout)["status"]["conditions"]
    found: dict[str, Any] = next(each for each in conditions if each["type"] == "Ready")
    return found


@pytest.fixture
def servers_are_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers have it two days earlier than this machine: to them, its clock is two days ahead."""
    monkeypatch.setattr(
        BaseHTTPRequestHandler, "date_time_string", lambda *_: format_datetime(datetime.now(UTC) - 2 * DAY, usegmt=True)
    )


def refuses(exchange: Exchange) -> None:
    exchange.answer(401, b'{"detail": "created is not now"}', {"Content-Type": "application/problem+json"})


def ended_yesterday(folder: Path) -> tuple[Path, ssl.SSLContext]:
    now = datetime.now(UTC)
    return self_signed(folder, starts=now - 30 * DAY, ends=now - DAY)


@pytest.mark.usefixtures("servers_are_behind")
def test_a_signature_that_is_refused_for_its_time(tmp_path: Path) -> None:
    """The skew is in the status."""
    with serving(refuses) as server:
        found = ready(host(tmp_path, url=server.url))
    assert "this host's clock is 2 days ahead of the backend's. Correct the clock" in found["message"], found


@pytest.mark.usefixtures("servers_are_behind")
def test_a_good_certificate_that_a_wrong_clock_makes_look_ended(tmp_path: Path) -> None:
    """It ended yesterday by this host's clock, and by the server's it holds for a day: the clock is named."""
    pem, context = ended_yesterday(tmp_path)
    with serving(refuses, context) as server:
        found = ready(host(tmp_path, url=server.url, ca_file=pem))
        signed = [exchange for exchange in server.asked if "signature" in exchange.headers]
    told = found["message"]
    assert ("has expired" in told, "This host's clock is 2 days ahead of the server's: set it right" in told) == (
        True,
        True,
    ), found
    assert [] == signed  # nothing that proves who we are goes to a server that proved nothing


def test_a_certificate_that_has_really_ended(tmp_path: Path) -> None:
    """Where both clocks agree, the certificate is named."""
    pem, context = ended_yesterday(tmp_path)
    with serving(refuses, context) as server:
        found = ready(host(tmp_path, url=server.url, ca_file=pem))
    assert "This host's clock agrees with the server's: renew the certificate there" in found["message"], found


@pytest.mark.parametrize(
    ("skew", "told"),
    [
        (172800.4, "2 days ahead of"),
        (172801.2, "2 days ahead of"),
        (-20699.6, "5.75 hours behind"),
        (-20700.4, "5.75 hours behind"),
        (600, "10 minutes ahead of"),
        (-90, "90 s behind"),
    ],
)
def test_words_do_not_change_with_the_second(skew: float, told: str) -> None:
    """A date has whole seconds: what is told of a steady skew stays the same from pass to pass."""
    assert told == skew_told(skew)
