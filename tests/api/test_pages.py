"""The page: each of its pages shows what it must, to those who may, on every database."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

import pytest
from msgspec.structs import replace
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import transaction
from api.models import host_status, report
from api.principal import Role
from desired_state.catalogue import HostEntry, Placement, ServiceEntry
from tests.api.house import Answer, House, settings_for
from tests.fakes import hostile
from tests.fakes.fleet import PaperFleet
from tests.fakes.host import PaperHost
from tests.fakes.hostile import PAYLOAD
from tests.fakes.story import tell

PAGES = (
    "/",
    "/?standing=failed",
    "/?q=role%3Dapp",
    "/?q=nothing-like-it",
    "/hosts/app-1.ams",
    "/hosts/app-3.ams",
    "/hosts/cache-2.ams",
    "/hosts/web-2.ams",
    "/hosts/web-2.fra",
    "/hosts/web-3.fra",
    "/hosts/cache-1.ams/documents/1",
    "/hosts/cache-1.ams/documents/2",
    "/services",
    "/services/orders",
    "/changes",
    "/changes/4",
    "/changes/2",
    "/events",
    "/invite",
)


def look(house: House, path: str, role: Role | None = Role.OPERATOR) -> Answer:
    """A page, as a browser asks for it."""
    return house.ask("GET", path, role=role, accept="text/html,*/*")


def words(answer: Answer) -> str:
    """What a reader sees, in one line."""
    parser = _Words()
    parser.feed(answer.content.decode())
    return re.sub(r"\s+", " ", " ".join(parser.found))


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[tuple[str, dict[str, str]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.found.append(data)


@pytest.fixture
def told(house: House) -> House:
    """A backend with the story in it."""
    house.run(lambda engine: tell(engine, house.time))
    return house


@pytest.fixture(scope="module")
def small_told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The same on SQLite only, once for all tests that only look."""
    folder = tmp_path_factory.mktemp("story")
    with House(settings_for(f"sqlite:///{folder / 'towline.db'}", folder)).open() as house:
        house.run(lambda engine: tell(engine, house.time))
        yield house


def test_every_page_is_shown(told: House) -> None:
    """Every page answers 200 with a whole document, on every database."""
    wrong = [(path, answer) for path in PAGES if (answer := look(told, path)).status != 200]
    assert [] == wrong


def test_every_page_is_shown_before_anything_was_declared(small_house: House) -> None:
    """A new backend's pages say what to do next."""
    told = {path: words(look(small_house, path)) for path in ("/", "/services", "/changes", "/events")}
    assert "Bring in the first host" in told["/"]
    assert "No services yet" in told["/services"]
    assert "No changes yet" in told["/changes"]


def test_counts_of_the_fleet(small_told: House) -> None:
    """Each host is counted under one word."""
    counts = small_told.ask("GET", "/v1/fleet").json["counts"]
    assert {
        "converged": 7,
        "converging": 1,
        "drifted": 1,
        "failed": 2,
        "stale": 1,
        "suspended": 1,
        "never reported": 1,
    } == {count["word"]: count["hosts"] for count in counts}


def test_who_is_not_on_the_newest_revision_and_why(small_told: House) -> None:
    """The fleet's page names them with both revisions and the reason."""
    fleet = small_told.ask("GET", "/v1/fleet").json
    assert [("app-3.ams", "failed"), ("batch-1.fra", "stale"), ("app-2.fra", "converging")] == [
        (line["host"], line["standing"]["word"]) for line in fleet["behind"]
    ]
    shown = words(look(small_told, "/"))
    assert "10 of 13 hosts on the newest revision" in shown
    assert "Failed: orders: start failed with exit code 1: port 8081 is taken by pid 714 (python3)" in shown


def test_what_needs_a_person_comes_first(small_told: House) -> None:
    """Hosts are listed worst first."""
    lines = small_told.ask("GET", "/v1/fleet").json["lines"]
    assert ["app-3.ams", "web-2.ams", "cache-2.ams", "batch-1.fra", "app-2.fra"] == [line["host"] for line in lines[:5]]


def test_pages_of_hosts_follow_each_other(small_told: House) -> None:
    """Page by page, every host comes once and in the same order as on one page."""
    whole = [line["host"] for line in small_told.ask("GET", "/v1/fleet").json["lines"]]
    found, after = [], ""
    while after is not None:
        page = small_told.ask("GET", f"/v1/fleet?limit=5&after={after.replace(' ', '%20')}").json
        found += [line["host"] for line in page["lines"]]
        after = page.get("next")
    assert whole == found


@pytest.mark.parametrize(
    ("query", "hosts"),
    [
        ("q=cache", 3),
        ("q=role%3Dcache", 3),
        ("q=role%3Dapp%20fra", 3),
        ("q=nothing", 0),
        ("standing=failed", 2),
        ("standing=failed&q=web", 1),
    ],
)
def test_hosts_are_found(small_told: House, query: str, hosts: int) -> None:
    """By part of a name, by label, by standing, and by all of them."""
    assert hosts == small_told.ask("GET", f"/v1/fleet?{query}").json["matched"]


def test_silence_turns_a_host_stale_without_a_report(small_told: House) -> None:
    """Nobody writes anything, and after three polls the converged hosts are stale."""
    small_told.later(minutes=4)
    counts = {count["word"]: count["hosts"] for count in small_told.ask("GET", "/v1/fleet").json["counts"]}
    small_told.later(minutes=-4)
    assert (0, 12) == (counts["converged"], counts["stale"])


def test_desired_beside_observed(small_told: House) -> None:
    """A configuration edited by hand stands in its row, marked by a word, with the keys that were edited."""
    services = small_told.ask("GET", "/v1/hosts/cache-2.ams").json["services"]
    fields = {field["name"]: field for field in services[0]["fields"]}
    assert ["configuration"] == [name for name, field in fields.items() if field["differs"]]
    assert "512mb" == fields["parameters.maxmemory"]["desired"]
    shown = words(look(small_told, "/hosts/cache-2.ams"))
    assert "Differs" in shown
    told = "its configuration was edited by hand: redis.conf: maxmemory = 536870912 -> 1073741824; redis.conf"
    assert told in shown
    assert services[0]["drift"][-1] in shown
    assert "password.conf: requirepass = (secret) -> (another secret)" == services[0]["drift"][-1]


def test_a_refused_document_is_told_in_its_words(small_told: House) -> None:
    """Reason and message of the refusal stand on the host's page."""
    shown = words(look(small_told, "/hosts/web-2.ams"))
    assert "The newest document was refused: RevisionOld" in shown
    assert "an old document was replayed" in shown


def test_a_failed_step_shows_its_exit_code_and_log(small_told: House) -> None:
    """Last runs: steps with reasons, exit codes and log tails."""
    shown = words(look(small_told, "/hosts/app-3.ams"))
    assert "start orders failed" in shown
    assert "exit 1" in shown
    assert "java.net.BindException: Address already in use" in shown


def test_what_changed_and_by_whom(small_told: House) -> None:
    """The host's page names change and author of each document; the next click shows the lines."""
    host = words(look(small_told, "/hosts/cache-1.ams"))
    assert "Give the cache more memory" in host
    assert "Tomás Rivera" in host
    lines = small_told.ask("GET", "/v1/hosts/cache-1.ams/documents/2").json["lines"]
    assert ['-        "maxmemory": "256mb",', '+        "maxmemory": "384mb",'] == [
        line for line in lines if line[:1] in "+-" and "maxmemory" in line
    ]


def test_a_refused_change_shows_every_problem_with_file_and_line(small_told: House) -> None:
    """Nothing of it was taken; all problems stand there."""
    shown = words(look(small_told, "/changes/4"))
    assert "catalogue/services/cache.yaml :11" in shown or "catalogue/services/cache.yaml:11" in shown
    assert "there is no service order; did you mean orders?" in shown
    assert "The newest change was refused" in words(look(small_told, "/"))


def test_one_service_across_hosts(small_told: House) -> None:
    """Six hosts have it; one is not healthy, of one nobody knows any more, three differ."""
    service = small_told.ask("GET", "/v1/services/orders").json
    assert (6, 4, 3) == (service["placed"], service["healthy"], service["differing"])


def test_runs_are_paged(small_told: House) -> None:
    """The next page goes on below the last run."""
    first = small_told.ask("GET", "/v1/hosts/app-3.ams/runs?limit=1").json
    second = small_told.ask("GET", f"/v1/hosts/app-3.ams/runs?limit=1&after={first['next']}").json
    assert [2, 1] == [first["items"][0]["seq"], second["items"][0]["seq"]]
    assert second["next"] is None


@pytest.mark.parametrize("path", ["/hosts/nobody", "/services/nothing", "/changes/99", "/hosts/app-1.ams/documents/9"])
def test_what_is_not_there_is_said_on_a_page(small_told: House, path: str) -> None:
    """404, in words, with a way back."""
    answer = look(small_told, path)
    assert 404 == answer.status
    assert "To the fleet" in words(answer)


def test_an_unknown_address_is_a_page_for_browsers_and_a_problem_for_others(small_house: House) -> None:
    """The same error in the form that the asker reads."""
    for_browser, for_client = look(small_house, "/nowhere"), small_house.ask("GET", "/nowhere")
    assert (404, 404) == (for_browser.status, for_client.status)
    assert "There is no such page" in words(for_browser)
    assert "application/problem+json" == for_client.headers["content-type"]


def test_whoever_is_not_signed_in_goes_there_first(small_house: House) -> None:
    """And comes back to where they wanted to go."""
    answer = look(small_house, "/hosts/app-1.ams?runs=3", role=None)
    assert (303, "/signin?next=%2Fhosts%2Fapp-1.ams%3Fruns%3D3") == (answer.status, answer.headers["location"])


def test_a_viewer_sees_no_button_that_would_be_refused(small_told: House) -> None:
    """Suspend and invite are for operators."""
    shown = look(small_told, "/hosts/app-1.ams", Role.VIEWER).content.decode()
    assert "/suspend" not in shown
    assert "/invite" not in look(small_told, "/", Role.VIEWER).content.decode()


@pytest.fixture
def refusing(small_house: House) -> House:
    """A host whose agent shall be 0.5.0, tried it, and is back on 0.4.0."""
    why = (
        "install agent: release 0.5.0-1f2e3d4c5b6a was tried here and refused: "
        "it made no pass within 300 s of its start; declare another version"
    )
    wanted = ServiceEntry(
        service="agent",
        kind="agent",
        version="0.5.0",
        packages={"release": "towline-agent-0.5.0"},
        placement=Placement(all=True),
    )

    async def tell_it(engine: AsyncEngine) -> None:
        fleet, paper, now = PaperFleet(engine, small_house.time), PaperHost("app-1.ams"), small_house.time
        entry = HostEntry(host="app-1.ams", address="app-1.internal.example")
        await fleet.change("The agent, everywhere", "ana", now, replace(wanted, version="0.4.0"), entry)
        await fleet.change("Another host", "ana", now, HostEntry(host="app-2.ams"))
        await fleet.enrol("app-1.ams")
        await fleet.roll_out(paper, now)
        await fleet.change("A newer agent", "ana", now, wanted)
        paper.hold(*await fleet.publish("app-1.ams", now))
        status = replace(paper.status(now, stalled=(why,)), agent_version="0.4.0", address="192.0.2.10")
        await fleet.ingest(paper.report(now, status), seen_at=now)

    small_house.run(tell_it)
    return small_house


def test_a_refused_release_of_the_agent_says_why(refusing: House) -> None:
    """The host's page: failed, with the reason in its sentence and in the condition, both versions, the agent as a
    service like others."""
    shown = words(look(refusing, "/hosts/app-1.ams"))
    why = "was tried here and refused: it made no pass within 300 s of its start; declare another version"
    assert 2 <= shown.count(why)
    assert "Agent 0.4.0 0.5.0 is declared" in shown
    assert "agent agent 0.5.0" in shown
    assert "Stalled yes" in shown


def test_the_fleet_tells_each_hosts_agent(refusing: House) -> None:
    """A column of its own."""
    assert re.search(
        r'<td data-h="Agent" class="keep"><span title="0\.4\.0">0\.4\.0</span></td>',
        look(refusing, "/").content.decode(),
    )


def test_the_address_says_where_it_comes_from(refusing: House) -> None:
    """Declared outweighs what the host says, which outweighs its name; the page says which it is."""
    declared = words(look(refusing, "/hosts/app-1.ams"))
    assert "Address app-1.internal.example declared" in declared
    assert "Address app-2.ams its name" in words(look(refusing, "/hosts/app-2.ams"))


def test_no_page_holds_what_our_policy_forbids(small_told: House) -> None:
    """No inline script, style, handler, and nothing from elsewhere."""
    found = {
        path: re.findall(r"<script(?! src=\"/static)|<style| style=| on\w+=|https?://", html)
        for path in PAGES
        if (html := look(small_told, path).content.decode().replace("http://www.w3.org/", ""))
    }
    assert {} == {path: bad for path, bad in found.items() if bad}


def test_a_static_file_is_kept_for_ever_and_named_by_its_content(small_house: House) -> None:
    """The address carries a digest; the answer may be kept."""
    address = re.search(r"/static/base\.css\?v=[0-9a-f]{12}", look(small_house, "/signin", None).content.decode())
    assert address is not None
    answer = small_house.ask("GET", address.group(), role=None)
    assert (200, "public, max-age=31536000, immutable") == (answer.status, answer.headers["cache-control"])
    assert "text/css" in answer.headers["content-type"]


@pytest.mark.parametrize("name", ["nothing.css", "..%2Frendering.py", "%2e%2e%2ffleet.html"])
def test_no_other_file_is_served(small_house: House, name: str) -> None:
    """Only the files of the folder, by their names."""
    assert 404 == small_house.ask("GET", f"/static/{name}", role=None).status


HOSTILE = (
    "/",
    "/hosts/victim.ams",
    "/hosts/victim.ams/documents/1",
    "/services",
    "/services/cache",
    "/changes",
    "/changes/1",
    "/changes/2",
    "/events",
    "/invite",
    f"/?q={quote(PAYLOAD)}",
    f"/invite?host={quote(PAYLOAD)[:128]}",
    f"/signin?next={quote(PAYLOAD)}",
    f"/signin?token={quote(PAYLOAD)}",
    f"/{quote(PAYLOAD, safe='')}",
)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A backend in which every text tries to become markup."""
    folder = tmp_path_factory.mktemp("hostile")
    with House(settings_for(f"sqlite:///{folder / 'towline.db'}", folder)).open() as house:
        house.run(lambda engine: hostile.tell(engine, PaperFleet(engine, house.time)))
        yield house


@pytest.mark.parametrize("path", HOSTILE)
def test_no_text_becomes_markup(attacked: House, path: str) -> None:
    """Whatever stands in the catalogue, in reports, in the log or in the address is shown as text."""
    parser = _Words()
    parser.feed(look(attacked, path).content.decode())
    assert {"html", "body", "main"} <= {tag for tag, _ in parser.tags}
    assert [] == [
        (tag, attributes)
        for tag, attributes in parser.tags
        if any(name.startswith("on") for name in attributes)
        or (tag in ("img", "script") and not attributes.get("src", "").startswith("/static/"))
        or attributes.get("href", "").lower().startswith(("javascript:", "data:", "//"))
    ]


@pytest.mark.parametrize("path", HOSTILE[:10])
def test_what_was_written_is_shown_as_it_was_written(attacked: House, path: str) -> None:
    """Escaped, and not taken away: the reader sees that somebody tried."""
    assert path == "/invite" or "<script>alert(1)</script>" in words(look(attacked, path))


def test_when_a_host_counts_as_silent_is_a_setting(tmp_path: Path) -> None:
    """[hosts] stale_after_polls: after ten minutes nobody is stale where twenty polls may be missed."""
    settings = settings_for(f"sqlite:///{tmp_path / 'towline.db'}", tmp_path, hosts={"stale_after_polls": 20})
    with House(settings).open() as house:
        house.run(lambda engine: tell(engine, house.time))
        house.later(minutes=10)
        counts = {count["word"]: count["hosts"] for count in house.ask("GET", "/v1/fleet").json["counts"]}
    assert (7, 1) == (counts["converged"], counts["stale"])


def test_a_report_of_another_version_takes_no_page_down(small_house: House) -> None:
    """What was stored in words unknown here is said to be so; all other hosts are shown as ever."""

    async def spoil(engine: AsyncEngine) -> None:
        await tell(engine, small_house.time)
        async with transaction(engine) as connection:
            for table, column in ((host_status, "status"), (report, "body")):
                where = table.c.host == "app-3.ams"
                await connection.execute(update(table).where(where).values({column: b'{"host": 1}'}))

    small_house.run(spoil)
    assert "app-1.ams" in words(look(small_house, "/"))
    assert "cannot be read by this version" in words(look(small_house, "/hosts/app-3.ams"))
    assert 200 == look(small_house, "/services/orders").status
