"""The catalogue as code is imported whole or not at all, and what was refused is told with file, line and field."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from api.as_code.catalogue_source import CatalogueSource, FolderSource, GitSource, Tree
from api.database import make_engine
from api.errors import TryLater
from api.git_access import GitAccess
from api.principal import SCHEDULE
from api.services.importing import Imported, import_catalogue
from tests.api.house import FAKE_CTL, SHIPPED, House, settings_for
from tests.servers.git_https import GitOverHttps
from tests.servers.git_repository import BareRepository
from tests.servers.git_ssh import GitOverSsh

HOST = b"host: h1\nlabels: {role: db}\n"
CACHE = b"service: cache\nkind: redis\nversion: '7'\nplacement:\n  hosts: [h1]\n"
GOOD: dict[str, bytes | None] = {"catalogue/hosts/h1.yaml": HOST, "catalogue/services/cache.yaml": CACHE}


@pytest.fixture
def repository(tmp_path: Path) -> BareRepository:
    """A git repository with a good catalogue on main."""
    repository = BareRepository(tmp_path / "catalogue.git")
    repository.commit(GOOD, message="The first catalogue\n\nMore words.")
    return repository


@pytest.fixture
def source(repository: BareRepository, tmp_path: Path) -> GitSource:
    """Its main branch."""
    return GitSource(GitAccess(url=str(repository.path)), "main", tmp_path / "scratch")


def _import(house: House, source: CatalogueSource) -> Imported:
    async def work(engine: Any) -> Imported:
        return await import_catalogue(engine, source, SCHEDULE, shipped=SHIPPED, now=house.time)

    return house.run(work)


def _alone(house: House, source: CatalogueSource) -> Imported:
    """As another replica does it, with connections of its own."""

    async def work() -> Imported:
        engine = make_engine(house.settings.database_url, pooled=False)
        try:
            return await import_catalogue(engine, source, SCHEDULE, shipped=SHIPPED, now=house.time)
        finally:
            await engine.dispose()

    return asyncio.run(work())


def _names(house: House) -> list[str]:
    listed = [house.ask("GET", f"/v1/catalogue/{kind}").json["items"] for kind in ("hosts", "services", "packages")]
    return [entry.get("host") or entry.get("service") or entry["package"] for entries in listed for entry in entries]


def _changes(house: House) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = house.ask("GET", "/v1/catalogue/changes").json["items"]
    return items


def test_a_branch_becomes_the_catalogue(house: House, source: GitSource, repository: BareRepository) -> None:
    """Entries, and a change with the commit's id, author and first line."""
    done = _import(house, source)
    assert (done.state, done.ref, _names(house)) == ("applied", repository.head(), ["h1", "cache"])
    change = _changes(house)[0]
    assert (change["ref"], change["summary"], change["source"]) == (done.ref, "The first catalogue", "git")
    assert change["author"] == "towline tests <tests@towline.invalid>"


def test_nothing_new_writes_nothing(house: House, source: GitSource) -> None:
    """The second look finds the same commit: no change, no line in the log."""
    _import(house, source)
    before = len(house.ask("GET", "/v1/events").json["items"])
    assert _import(house, source).state == "unchanged"
    assert (len(_changes(house)), len(house.ask("GET", "/v1/events").json["items"])) == (1, before)


def test_a_broken_main_keeps_the_last_good_catalogue(
    house: House, source: GitSource, repository: BareRepository
) -> None:
    """Refused whole, with every problem; looked at ten times it is one line; a good commit after it is applied."""
    _import(house, source)
    repository.commit(
        {
            "catalogue/services/cache.yaml": CACHE + b"parameters:\n  port: 99999\n  colour: red\n",
            "catalogue/hosts/h2.yaml": b"host: h2\n",
            "catalogue/services/web.yaml": b"service: web\nkind: nginx\nversion: 7\n",
        }
    )
    refused = _import(house, source)
    places = [(p.file, p.line, p.pointer) for p in refused.problems if p.severity == "error"]
    assert (refused.state, _names(house)) == ("refused", ["h1", "cache"])
    assert places == [
        ("catalogue/services/cache.yaml", 7, "/parameters/port"),
        ("catalogue/services/cache.yaml", 8, "/parameters/colour"),
        ("catalogue/services/web.yaml", 3, "/version"),
    ]
    for _ in range(3):
        assert _import(house, source).state == "refused"
    assert [change["state"] for change in _changes(house)] == ["refused", "applied"]
    repository.commit({"catalogue/services/cache.yaml": CACHE, "catalogue/services/web.yaml": None})
    assert _import(house, source).state == "applied"
    assert _names(house) == ["h1", "h2", "cache"]


def test_what_left_the_files_leaves_the_catalogue(house: House, source: GitSource, repository: BareRepository) -> None:
    """And is told as removed; on the hosts it stays as it is."""
    _import(house, source)
    repository.commit({"catalogue/services/cache.yaml": None})
    _import(house, source)
    assert _names(house) == ["h1"]
    assert _changes(house)[0]["changed"] == [{"entry": "service/cache", "action": "removed"}]


@pytest.mark.parametrize("files", [{"README.md": b"x"}, {"catalogues/h1.yaml": HOST}])
def test_an_empty_tree_changes_nothing(house: House, tmp_path: Path, files: dict[str, bytes | None]) -> None:
    """A lost or renamed folder is refused, and deletes nothing."""
    first = BareRepository(tmp_path / "first.git")
    first.commit(GOOD)
    _import(house, GitSource(GitAccess(url=str(first.path)), "main", tmp_path))
    first.rewrite(files)
    done = _import(house, GitSource(GitAccess(url=str(first.path)), "main", tmp_path))
    assert (done.state, _names(house)) == ("refused", ["h1", "cache"])


def test_problems_that_follow_from_an_unread_file_are_not_told(small_house: House, tmp_path: Path) -> None:
    """A typing error in one file does not make every other file wrong."""
    broken = BareRepository(tmp_path / "broken.git")
    broken.commit(
        {
            "catalogue/hosts/h1.yaml": b"host: h1\ncolour: red\n",
            "catalogue/services/cache.yaml": CACHE + b"depends_on: [nowhere]\n",
        }
    )
    done = _import(small_house, GitSource(GitAccess(url=str(broken.path)), "main", tmp_path))
    assert [(p.file, p.pointer) for p in done.problems if p.severity == "error"] == [
        ("catalogue/hosts/h1.yaml", "/colour"),
        ("catalogue/services/cache.yaml", "/depends_on/0"),
    ]


def test_the_repository_brings_kinds_of_its_own(house: House, tmp_path: Path) -> None:
    """A script beside the catalogue is a full citizen; one that is broken refuses the import by its name."""
    own = BareRepository(tmp_path / "own.git")
    script = FAKE_CTL.replace("KIND", "mine").replace("PORT", "1234").encode()
    service = b"service: own\nkind: mine\nversion: '7'\nplacement: {hosts: [h1]}\n"
    own.commit({**GOOD, "scripts/minectl.sh": script, "catalogue/services/own.yaml": service})
    source = GitSource(GitAccess(url=str(own.path)), "main", tmp_path)
    assert _import(house, source).state == "applied"
    own.commit({"scripts/minectl.sh": b"exit 3"})
    refused = _import(house, source)
    assert [(p.file, p.pointer) for p in refused.problems] == [("scripts/minectl.sh", "")]
    own.commit({"scripts/minectl.sh": script, "scripts/redisctl.sh": b"echo mine now"})
    assert [p.file for p in _import(house, source).problems] == ["scripts/redisctl.sh"]


def test_a_rewritten_history_is_followed(house: House, source: GitSource, repository: BareRepository) -> None:
    """A force push is one more commit to look at."""
    _import(house, source)
    repository.rewrite({**GOOD, "catalogue/hosts/h9.yaml": b"host: h9\n"})
    assert _import(house, source).state == "applied"
    assert _names(house) == ["h1", "h9", "cache"]


def test_a_folder_is_imported(house: House, tmp_path: Path) -> None:
    """Known by the digest of its files: the same files are nothing new, whatever their dates."""
    folder = tmp_path / "tree"
    for path, data in GOOD.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data or b"")
    assert _import(house, FolderSource(folder)).state == "applied"
    (folder / "catalogue/hosts/h1.yaml").write_bytes(HOST)
    assert _import(house, FolderSource(folder)).state == "unchanged"


def test_links_are_not_followed(small_house: House, tmp_path: Path) -> None:
    """A link out of the tree is refused, not read."""
    folder = tmp_path / "tree"
    (folder / "catalogue").mkdir(parents=True)
    (folder / "catalogue" / "h1.yaml").write_bytes(HOST)
    (folder / "catalogue" / "secret.yaml").symlink_to("/etc/passwd")
    done = _import(small_house, FolderSource(folder))
    assert [(p.file, p.message) for p in done.problems] == [
        ("catalogue/secret.yaml", "is a link; put the file itself there")
    ]


@pytest.mark.parametrize("url", ["/nowhere/at/all", "https://127.0.0.1:1/x.git"])
def test_a_source_that_is_away_is_worth_another_try(small_house: House, tmp_path: Path, url: str) -> None:
    """Nothing is changed, and the message names the source."""
    with pytest.raises(TryLater, match=url.replace("/", "[/]")):
        _import(small_house, GitSource(GitAccess(url=url), "main", tmp_path))


def test_a_branch_over_https(small_house: House, git_https: GitOverHttps, tmp_path: Path) -> None:
    """With a private CA and a password; later commits are fetched, too."""
    password = tmp_path / "password"
    password.write_text(git_https.password)
    access = GitAccess(url=git_https.url, username=git_https.user, password_file=password, ca_file=git_https.ca_pem)
    source = GitSource(access, "main", tmp_path / "scratch")
    git_https.repository.commit(GOOD)
    assert _import(small_house, source).state == "applied"
    git_https.repository.commit({"catalogue/hosts/h2.yaml": b"host: h2\n"})
    assert _import(small_house, source).state == "applied"
    assert (_names(small_house), _import(small_house, source).state) == (["h1", "h2", "cache"], "unchanged")


def test_a_branch_over_ssh(small_house: House, git_ssh: GitOverSsh, tmp_path: Path) -> None:
    """With a key, and the server's pinned host key."""
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(git_ssh.known_hosts)
    access = GitAccess(url=git_ssh.url, ssh_key_file=git_ssh.private_key, known_hosts_file=known_hosts)
    git_ssh.repository.commit(GOOD)
    assert _import(small_house, GitSource(access, "main", tmp_path / "scratch")).state == "applied"


def test_an_import_can_be_asked_for(tmp_path: Path, repository: BareRepository) -> None:
    """POST /v1/catalogue/import answers what was done."""
    settings = settings_for(
        f"sqlite:///{tmp_path / 'x.db'}", tmp_path, catalogue={"git": {"url": str(repository.path)}}
    )
    with House(settings).open() as house:
        first = house.ask("POST", "/v1/catalogue/import")
        assert (first.status, first.json["state"], first.json["ref"]) == (200, "applied", repository.head())
        assert house.ask("POST", "/v1/catalogue/import").json["state"] == "unchanged"


def test_without_code_there_is_nothing_to_import(small_house: House) -> None:
    """409, and which setting is missing."""
    assert small_house.ask("POST", "/v1/catalogue/import").status == 409


def test_two_replicas_that_import_at_once_make_one_change(
    house: House, repository: BareRepository, tmp_path: Path
) -> None:
    """Both look at the same moment: one applies, the other finds it done; so with a broken state."""

    def look(number: int) -> str:
        source = GitSource(GitAccess(url=str(repository.path)), "main", tmp_path / f"scratch-{number}")
        done = _alone(house, source)
        return f"{done.state} {bool(done.change)}"

    with ThreadPoolExecutor(4) as pool:
        good = sorted(pool.map(look, range(4)))
        repository.commit({"catalogue/hosts/h1.yaml": b"nonsense"})
        broken = sorted(pool.map(look, range(4)))
    assert good == ["applied True", *["unchanged False"] * 3]
    assert broken == [*["refused False"] * 3, "refused True"]
    assert [change["state"] for change in _changes(house)] == ["refused", "applied"]


class _Overtaken:
    """A folder that is changed right after it was read, and imported by somebody else, before the reader goes on."""

    def __init__(self, root: Path, overtake: Callable[[], None]) -> None:
        self._source, self._overtake, self.reads = FolderSource(root), overtake, 0
        self.name = self._source.name

    def read(self, known: str) -> Tree | None:
        """What stands there now; the first time somebody is quicker."""
        tree = self._source.read(known)
        self.reads += 1
        if self.reads == 1:
            self._overtake()
        return tree


@pytest.mark.parametrize("first", [HOST, b"nonsense"], ids=["good", "broken"])
def test_what_was_read_before_a_newer_import_is_read_again(house: House, tmp_path: Path, first: bytes) -> None:
    """A slow importer does not take back what a quicker one has brought meanwhile, nor call it broken."""
    root = tmp_path / "code"
    entries = root / "catalogue/hosts"
    entries.mkdir(parents=True)
    (entries / "h1.yaml").write_bytes(first)

    def overtake() -> None:
        (entries / "h1.yaml").write_bytes(b"host: h1\nlabels: {role: cache}\n")
        quick = _alone(house, FolderSource(root))
        assert "applied" == quick.state

    slow = _Overtaken(root, overtake)
    assert ("unchanged", 2) == (_import(house, slow).state, slow.reads)
    assert ["applied"] == [change["state"] for change in _changes(house)]
    assert {"role": "cache"} == house.ask("GET", "/v1/catalogue/hosts/h1").json["labels"]
