"""The catalogue over REST: strict, conditional, paged, and never half changed."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.database import make_engine
from api.errors import Changed
from api.principal import COMMAND
from api.services import catalogue
from api.services.catalogue import Conditions
from desired_state.catalogue import HostEntry
from tests.api.house import SHIPPED, Answer, House, settings_for

REDIS = {"service": "cache", "kind": "redis", "version": "7.2", "placement": {"hosts": ["h1"]}}
HOST = {"host": "h1", "labels": {"role": "db"}}


def _create(house: House, path: str, body: object) -> Answer:
    return house.ask("PUT", f"/v1/catalogue/{path}", body, If_None_Match="*")


def test_an_entry_comes_back_as_it_was_written(house: House) -> None:
    """PUT makes it, GET reads it, with the same ETag."""
    assert _create(house, "hosts/h1", HOST).status == 201
    made = _create(house, "services/cache", REDIS)
    found = house.ask("GET", "/v1/catalogue/services/cache")
    assert (made.status, found.status, found.json) == (201, 200, REDIS)
    assert made.headers["etag"] == found.headers["etag"]


def test_an_unchanged_entry_is_not_sent_again(house: House) -> None:
    """If-None-Match with the ETag answers 304."""
    etag = _create(house, "hosts/h1", HOST).headers["etag"]
    assert house.ask("GET", "/v1/catalogue/hosts/h1", If_None_Match=etag).status == 304


def test_a_change_must_name_the_state_it_was_read_in(house: House) -> None:
    """Without If-Match 428, with an old one 412, with the right one 200."""
    etag = _create(house, "hosts/h1", HOST).headers["etag"]
    changed = {**HOST, "description": "x"}
    path = "/v1/catalogue/hosts/h1"
    statuses = [
        house.ask("PUT", path, changed).status,
        house.ask("PUT", path, changed, If_Match='"sha256:old"').status,
        house.ask("PUT", path, changed, If_None_Match="*").status,
        house.ask("PUT", path, changed, If_Match=etag).status,
        house.ask("PUT", path, changed, If_Match=etag).status,
    ]
    assert statuses == [428, 412, 412, 200, 412]


def test_all_problems_of_a_body_come_at_once_and_nothing_is_stored(house: House) -> None:
    """Problem details list every pointer."""
    answer = _create(house, "services/cache", {"service": "cache", "kind": "Redis", "version": 7, "colour": "x"})
    assert answer.status == 422
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert [pointer for pointer, _ in answer.problems] == ["/kind", "/version", "/colour"]
    assert house.ask("GET", "/v1/catalogue/services").json == {"items": [], "next": None}


def test_the_whole_catalogue_must_stay_valid(house: House) -> None:
    """An unknown kind, a bad parameter and an unknown host of an override are told with pointers into the body."""
    _create(house, "hosts/h1", HOST)
    body = {**REDIS, "parameters": {"port": 99999, "colour": "red"}, "depends_on": ["nowhere"]}
    answer = _create(house, "services/cache", body)
    assert answer.status == 422
    assert {pointer for pointer, _ in answer.problems} == {"/parameters/port", "/parameters/colour", "/depends_on/0"}


def test_what_is_in_use_is_not_deleted(house: House) -> None:
    """A service that others depend on stays; the problem points at who depends."""
    _create(house, "hosts/h1", HOST)
    etag = _create(house, "services/cache", REDIS).headers["etag"]
    web = {"service": "web", "kind": "nginx", "version": "7", "placement": {"hosts": ["h1"]}, "depends_on": ["cache"]}
    assert _create(house, "services/web", web).status == 201
    answer = house.ask("DELETE", "/v1/catalogue/services/cache", If_Match=etag)
    assert answer.status == 422
    assert [pointer for pointer, _ in answer.problems] == ["/services/web/depends_on/0"]


def test_an_entry_is_deleted(house: House) -> None:
    """DELETE with its ETag; then it is not found."""
    etag = _create(house, "hosts/h1", HOST).headers["etag"]
    assert house.ask("DELETE", "/v1/catalogue/hosts/h1", If_Match=etag).status == 204
    assert house.ask("GET", "/v1/catalogue/hosts/h1").status == 404


def test_a_placement_that_matches_no_host_is_a_warning(house: House) -> None:
    """It is stored, and the answer says so."""
    answer = _create(house, "services/cache", {**REDIS, "placement": {"labels": {"role": "none"}}})
    assert answer.status == 201
    assert [one["severity"] for one in answer.json["warnings"]] == ["warning"]


def test_the_name_in_the_path_is_the_name_in_the_body(house: House) -> None:
    """One name for one thing."""
    answer = _create(house, "hosts/h2", HOST)
    assert (answer.status, answer.problems) == (422, [("/host", "is another name")])


def test_lists_are_paged(house: House) -> None:
    """`next` of one page is `after` of the following; the last has none."""
    for name in ("a", "b", "c"):
        _create(house, f"hosts/{name}", {"host": name})
    first = house.ask("GET", "/v1/catalogue/hosts?limit=2").json
    second = house.ask("GET", f"/v1/catalogue/hosts?limit=2&after={first['next']}").json
    assert [one["host"] for one in first["items"]] == ["a", "b"]
    assert (second["items"], second["next"]) == ([{"host": "c"}], None)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x"])
def test_a_bad_query_is_refused_with_its_name(small_house: House, query: str) -> None:
    """Limits are bounded."""
    answer = small_house.ask("GET", f"/v1/catalogue/hosts?{query}")
    assert (answer.status, [pointer for pointer, _ in answer.problems]) == (400, ["/query/limit"])


def test_changes_tell_who_and_what(house: House) -> None:
    """Newest first, with what was added, changed and removed."""
    etag = _create(house, "hosts/h1", HOST).headers["etag"]
    house.ask("DELETE", "/v1/catalogue/hosts/h1", If_Match=etag)
    items = house.ask("GET", "/v1/catalogue/changes").json["items"]
    assert [(one["ref"], one["author"], one["summary"], one["state"]) for one in items] == [
        ("change-2", "token:admin", "removed host/h1", "applied"),
        ("change-1", "token:admin", "added host/h1", "applied"),
    ]


def test_a_catalogue_in_git_is_not_written_here(tmp_path_factory: pytest.TempPathFactory) -> None:
    """409, and the way to do it."""
    folder = tmp_path_factory.mktemp("house")
    settings = settings_for(f"sqlite:///{folder / 'x.db'}", folder, catalogue={"git": {"url": "/srv/x.git"}})
    with House(settings).open() as house:
        answer = _create(house, "hosts/h1", HOST)
    assert (answer.status, answer.json["detail"]) == (409, "the catalogue is kept in git: make a merge request")


@pytest.mark.parametrize("body", [b"", b"null", b"[", b'{"host": "h1", "host": "h1"}', b"\xff", b"[" * 200_000])
def test_what_is_no_json_object_is_refused(small_house: House, body: bytes) -> None:
    """Nothing, half of something, a key twice, bytes, endless nesting: 422 with a problem, never 500."""
    answer = small_house.ask("PUT", "/v1/catalogue/hosts/h1", body, If_None_Match="*")
    assert answer.status in {400, 422}
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_of_two_writers_who_read_the_same_state_one_is_told(house: House) -> None:
    """Both send the same If-Match at the same moment: exactly one change is made."""
    etag = _create(house, "hosts/h1", HOST).headers["etag"].strip('"')

    def write(number: int) -> bool:
        async def alone() -> bool:
            engine = make_engine(house.settings.database_url, pooled=False)
            entry = HostEntry(host="h1", description=f"by {number}")
            conditions = Conditions(if_match=etag)
            try:
                await catalogue.put(engine, COMMAND, "h1", entry, conditions, shipped=SHIPPED, now=house.time)
            except Changed:
                return False
            finally:
                await engine.dispose()
            return True

        return asyncio.run(alone())

    with ThreadPoolExecutor(6) as pool:
        written = list(pool.map(write, range(6)))
    assert sorted(written) == [False] * 5 + [True]
    assert len(house.ask("GET", "/v1/catalogue/changes").json["items"]) == 2
