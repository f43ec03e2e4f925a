"""POST /v1/plan: the same plan for whoever has a token, and no script of a stranger is run."""

from typing import Any

import msgspec

from api.principal import Role
from tests.api.house import FAKE_CTL, Answer, House

REDIS = 'service: cache\nkind: redis\nversion: "7.2"\nplacement:\n  hosts: [alpha]\n'
OWN = FAKE_CTL.replace("KIND", "own").replace("PORT", "9000")


def ask(house: House, files: dict[str, str], role: Role | None = Role.VIEWER, **more: Any) -> Answer:
    """The plan of these files."""
    return house.ask(
        "POST", "/v1/plan", {"files": {"catalogue/hosts/alpha.yaml": "host: alpha\n", **files}, **more}, role=role
    )


def test_a_tree_is_planned(house: House) -> None:
    """The steps of a host that never reported, and the remark that says so."""
    answer = ask(house, {"catalogue/services/cache.yaml": REDIS})
    plan = answer.json["hosts"][0]
    assert (answer.status, plan["host"], [step["verb"] for step in plan["steps"]]) == (
        200,
        "alpha",
        ["install", "configure", "start"],
    )
    assert plan["remarks"] == ["has not reported yet: planned as if nothing were there"]


def test_problems_come_with_file_and_line(small_house: House) -> None:
    """All of them; there is no plan then."""
    answer = ask(small_house, {"catalogue/services/cache.yaml": REDIS.replace("redis", "unheard")})
    assert [(one["file"], one["line"]) for one in answer.json["problems"]] == [("catalogue/services/cache.yaml", 2)]
    assert "hosts" not in answer.json


def test_a_scripts_word_is_taken_from_the_sender(small_house: House) -> None:
    """A kind of the tree's own is planned with what the sender found out of it; without that the tree is refused."""
    files = {
        "scripts/ownctl.sh": OWN,
        "catalogue/services/mine.yaml": REDIS.replace("redis", "own").replace("cache", "mine"),
    }
    meta = msgspec.json.decode(OWN.partition("<<'JSON'\n")[2].rpartition("JSON")[0])
    told = ask(small_house, files, kinds={"own": meta})
    untold = ask(small_house, files)
    assert [step["service"] for step in told.json["hosts"][0]["steps"]] == ["mine"] * 3
    assert "scripts/" in {one["file"] for one in untold.json["problems"]}


def test_a_script_that_is_sent_is_never_run(small_house: House, tmp_path: Any) -> None:
    """A merge request of a stranger runs nothing on the backend."""
    trap = tmp_path / "trapped"
    ask(small_house, {"scripts/trapctl.sh": f"#!/usr/bin/env bash\ntouch {trap}\n"})
    assert not trap.exists()


def test_only_those_with_a_token_may_ask(small_house: House) -> None:
    """A viewer may; nobody may not."""
    assert [ask(small_house, {}, role).status for role in (None, Role.VIEWER)] == [401, 200]


def test_what_is_no_request_is_told(small_house: House) -> None:
    """422 with pointers."""
    answer = small_house.ask("POST", "/v1/plan", {"files": {"a": 1}, "more": 2})
    assert (answer.status, [pointer for pointer, _ in answer.problems]) == (422, ["/files/a", "/more"])
