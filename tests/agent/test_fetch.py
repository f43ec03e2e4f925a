"""fetch.sh: the archive comes from wherever it can be had, resumed, and is the one that the token names or nothing."""

import os
from pathlib import Path

import pytest

from tests.agent.archives import hex_of
from tests.agent.parts import Told, call, path_without
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import Exchange, serving
from tests.puller_edge.range_server import file_server

CONTENT = os.urandom(300_000)


@pytest.fixture(params=["curl", "wget"])
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, str]:
    """A host that has curl, and one that has wget alone."""
    return {} if request.param == "curl" else {"PATH": path_without(tmp_path, "curl")}


@pytest.fixture
def wanted(tmp_path: Path) -> Path:
    """The archive, as somebody built it."""
    path = tmp_path / "built/archive.tar.gz"
    path.parent.mkdir()
    path.write_bytes(CONTENT)
    return path


def fetch(
    folder: Path,
    wanted: Path,
    url: str,
    *,
    places: tuple[str, ...] = (),
    size: int = -1,
    tools: dict[str, str] | None = None,
    ca: str = "",
) -> Told:
    known = wanted.stat().st_size if size < 0 else size
    given = " ".join(f"'{place}'" for place in places)
    code = f"sleep() {{ :; }}; WHO[backend_url]='{url}'; FROM=({given}); OPTIONS[ca-file]='{ca}'; take_lock 5"
    return call(folder, f'{code}; fetch_archive {hex_of(wanted)} {known}; cat "$REPLY" | sha256sum', more=tools)


def parts(folder: Path) -> list[str]:
    """What lies in agent/parts."""
    place = folder / "prefix/agent/parts"
    return sorted(os.listdir(place)) if place.exists() else []


def has(told: Told, wanted: Path) -> bool:
    """Whether it ended with the archive."""
    return told.code == 0 and told.out.startswith(hex_of(wanted))


def test_from_the_backend(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """By its digest below /v1/agent."""
    with serving(file_server(CONTENT)) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
        assert has(told, wanted), told.err
        assert f"/v1/agent/sha256/{hex_of(wanted)}" == server.asked[0].target


def test_resumes_where_it_broke_off(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """Two cut connections: what came is not asked for again."""
    with serving(file_server(CONTENT, cuts=[100_000, 100_000])) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
        assert has(told, wanted), told.err
        asked = [exchange.headers.get("range", "") for exchange in server.asked]
    assert ["", "bytes=100000-", "bytes=200000-"] == asked


def test_resumes_after_a_kill(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """What an earlier call, which was killed, left is gone on with."""
    (tmp_path / "prefix/agent/parts").mkdir(parents=True)
    (tmp_path / "prefix/agent/parts" / hex_of(wanted)).write_bytes(CONTENT[:250_000])
    with serving(file_server(CONTENT)) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
        assert has(told, wanted), told.err
        assert "bytes=250000-" == server.asked[0].headers.get("range", "")


def test_server_without_ranges(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """It begins anew there, and ends well."""
    with serving(file_server(CONTENT, cuts=[100_000], ranges=False)) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
    assert has(told, wanted), told.err


def test_server_that_always_breaks_off_is_given_up(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """Tries without a byte more are bounded; what came is kept for the next time."""
    with serving(file_server(CONTENT, cuts=[1000] + [0] * 50)) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
    assert (1, True, [hex_of(wanted)]) == (told.code, "Gave up after" in told.err, parts(tmp_path)), told.err


def test_server_without_ranges_that_always_breaks_off_is_given_up(tmp_path: Path, wanted: Path) -> None:
    """Also one that lets every try begin anew."""
    with serving(file_server(CONTENT, cuts=[1000] * 50, ranges=False)) as server:
        told = fetch(tmp_path, wanted, server.url)
        assert (1, True) == (told.code, "Gave up after" in told.err), told.err
        assert len(server.asked) < 20


@pytest.mark.parametrize("size", [-1, 0], ids=["size known", "size unknown"])
def test_other_bytes_are_refused(tmp_path: Path, wanted: Path, tools: dict[str, str], size: int) -> None:
    """The right length and the wrong bytes: exit 1, and nothing is kept."""
    with serving(file_server(bytes(len(CONTENT)))) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools, size=size)
    assert (1, True, []) == (told.code, "REFUSED: what came is not the archive" in told.err, parts(tmp_path)), told.err


def test_flood_is_cut_off(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """A server that sends without end fills no disk: not much more is written than the token says."""

    def flood(exchange: Exchange) -> None:
        exchange.begin(200, {"Connection": "close"})
        for _ in range(1000):
            exchange.write(bytes(100_000))
            sent.append(100_000)
        exchange.cut()

    sent: list[int] = []

    with serving(flood) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
    assert (1, True, []) == (told.code, "REFUSED: sends more than" in told.err, parts(tmp_path)), told.err
    assert sum(sent) < 50_000_000  # what lies in buffers on the way


def test_missing_is_said(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """Each place that was tried is named, with what it said."""
    with serving(lambda exchange: exchange.answer(404)) as server:
        told = fetch(tmp_path, wanted, server.url, places=(str(tmp_path / "none"),), tools=tools)
        expected = [f"{tmp_path}/none: has no file with that digest", f"{server.url}/v1/agent: has no such file (404)"]
    assert (1, True) == (told.code, "; ".join(expected) in told.err), told.err


def test_busy_server_is_asked_again(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """503 passes."""
    whole = file_server(CONTENT)
    answers = iter([503])

    def answer(exchange: Exchange) -> None:
        busy = next(answers, None)
        exchange.answer(busy) if busy else whole(exchange)

    with serving(answer) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools)
    assert has(told, wanted), told.err


@pytest.mark.parametrize("name", ["towline-agent.tar.gz", "by-digest"])
def test_from_a_folder(tmp_path: Path, wanted: Path, name: str) -> None:
    """Laid by hand in the package folder, under any name, or as sha256/<hex>: nothing is asked over the network."""
    place = tmp_path / "prefix/incoming" / (name if name != "by-digest" else f"sha256/{hex_of(wanted)}")
    place.parent.mkdir(parents=True)
    place.write_bytes(CONTENT)
    (tmp_path / "prefix/incoming/other").write_bytes(b"other")
    assert has(fetch(tmp_path, wanted, "http://127.0.0.1:9"), wanted)


def test_changed_file_in_a_folder_is_not_taken(tmp_path: Path, wanted: Path) -> None:
    """The same name and length, and other bytes: passed over."""
    (tmp_path / "prefix/incoming/sha256").mkdir(parents=True)
    (tmp_path / "prefix/incoming/sha256" / hex_of(wanted)).write_bytes(bytes(len(CONTENT)))
    told = fetch(tmp_path, wanted, "http://127.0.0.1:9")
    assert 1 == told.code


def test_mirror_comes_first_and_its_password_is_not_shown(tmp_path: Path, wanted: Path) -> None:
    """--from is tried in order before the backend."""
    with serving(lambda exchange: exchange.answer(404)) as empty, serving(file_server(CONTENT)) as mirror:
        places = (empty.url.replace("://", "://user:pass-word@"), mirror.url)
        told = fetch(tmp_path, wanted, "http://127.0.0.1:9", places=places)
    assert (True, False) == (has(told, wanted), "pass-word" in told.all), told.err


def test_another_certificate_is_refused(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """Somebody between us and the backend, with a certificate of a CA that is not trusted: nothing is fetched."""
    trusted, other = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs", "Other CA")
    with serving(file_server(CONTENT), other.server_tls()) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools, ca=str(trusted.ca_file))
        assert (1, True, []) == (told.code, "not vouched for" in told.err, parts(tmp_path)), told.err
        assert [] == server.asked


def test_private_authority_is_trusted(tmp_path: Path, wanted: Path, tools: dict[str, str]) -> None:
    """With --ca-file the same server is believed."""
    ours = Authority(tmp_path / "ours")
    with serving(file_server(CONTENT), ours.server_tls()) as server:
        told = fetch(tmp_path, wanted, server.url, tools=tools, ca=str(ours.ca_file))
    assert has(told, wanted), told.err


def test_too_little_space_is_said_before_the_first_byte(tmp_path: Path, wanted: Path) -> None:
    """The archive and four times as much for its contents."""
    with serving(file_server(CONTENT)) as server:
        code = f"free_kib() {{ REPLY=1000; }}; WHO[backend_url]='{server.url}'; take_lock 5"
        told = call(tmp_path, f"{code}; fetch_archive {hex_of(wanted)} {len(CONTENT)}")
        assert (1, True, []) == (told.code, "MiB are needed" in told.err, server.asked), told.err


def test_progress_without_a_terminal(tmp_path: Path) -> None:
    """A line for each tenth that was passed, and no more."""
    count = tmp_path / "count"
    count.write_text("0\n")
    code = f"part_bytes() {{ read -r n <{count}; echo $((n + 65)) >{count}; echo $n; }}; size=1000 part=x"
    told = call(
        tmp_path, f"{code}; sleep() {{ command sleep 0.01; }}; command sleep 2 & DOWNLOADING=$!; watch_download"
    )
    expected = "".join(f"  {percent} %\n" for percent in (13, 26, 32.5, 45.5, 52, 65, 71.5, 84.5, 91))
    assert expected.replace(".5", "") == told.err
