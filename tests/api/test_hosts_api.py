"""Hosts are suspended with a reason and an expiry, and resumed."""

from typing import Any

import pytest

from api.services import hosts
from tests.api.house import House


def _declare(house: House, name: str = "alpha") -> None:
    assert house.ask("PUT", f"/v1/catalogue/hosts/{name}", {"host": name}).status == 201


def _told(house: House) -> str:
    async def known(engine: Any) -> str:
        return (await hosts.known(engine, now=house.time))[0].override

    return house.run(known)


def test_a_host_is_suspended_and_resumed(house: House) -> None:
    """Who, why, until when; both are audited."""
    _declare(house)
    body = {"reason": "moving the rack", "until": "2026-11-24T12:00:00Z"}
    assert house.ask("POST", "/v1/hosts/alpha/suspend", body).status == 204
    assert _told(house) == "suspended until 2026-11-24 12:00 UTC by token:admin: moving the rack"
    assert house.ask("POST", "/v1/hosts/alpha/resume").status == 204
    assert _told(house) == ""
    actions = [line["action"] for line in house.ask("GET", "/v1/events?subject=host/alpha").json["items"]]
    assert actions[:2] == ["host.resumed", "host.suspended"]


def test_a_suspension_ends_by_itself(house: House) -> None:
    """After its expiry it is not counted any more."""
    _declare(house)
    body = {"reason": "x", "until": "2026-11-24T12:00:00Z"}
    house.ask("POST", "/v1/hosts/alpha/suspend", body)
    house.later(days=1)
    assert _told(house) == ""


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ({"reason": "  "}, ["/reason"]),
        ({"reason": "x", "until": "2020-01-01T00:00:00Z"}, ["/until"]),
        ({"reason": " ", "until": "2020-01-01T00:00:00Z"}, ["/reason", "/until"]),
        ({}, ["/reason"]),
        ({"reason": "x", "until": "tomorrow"}, ["/until"]),
        ({"reason": "x", "until": "2027-01-01T00:00:00"}, ["/until"]),
    ],
)
def test_a_bad_suspension_is_refused(small_house: House, body: dict[str, str], pointers: list[str]) -> None:
    """No reason, over already, no moment: every problem at its pointer."""
    _declare(small_house)
    answer = small_house.ask("POST", "/v1/hosts/alpha/suspend", body)
    assert (answer.status, [pointer for pointer, _ in answer.problems]) == (422, pointers)


def test_only_declared_hosts_are_suspended(small_house: House) -> None:
    """404 for others; resuming what was not suspended is a conflict."""
    _declare(small_house)
    assert small_house.ask("POST", "/v1/hosts/beta/suspend", {"reason": "x"}).status == 404
    assert small_house.ask("POST", "/v1/hosts/beta/resume").status == 404
    assert small_house.ask("POST", "/v1/hosts/alpha/resume").status == 409
