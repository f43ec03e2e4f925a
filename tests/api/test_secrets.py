"""Secrets in the backend: written, never read back; sealed once to each host that uses them."""

import base64
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import select, update

from api.cli import main
from api.database import snapshot, transaction
from api.errors import Misconfigured
from api.models import sealed_secret, secret
from api.plans.fleet_plan import HeldSecrets, Known, plan_fleet
from api.principal import COMMAND, Role
from api.publish.bundle import make_bundle
from api.repositories import hosts as identities
from api.repositories.hosts import Identity
from api.services import secrets
from api.services.publishing import Publisher, publish
from api.vault import Vault
from desired_state.catalogue import Catalogue, HostEntry, Placement, ServiceEntry
from desired_state.document import Artifact, Document, Origin, SealedSecret
from desired_state.render import content_digest, issue, render
from desired_state.sealing import open_sealed
from tests.api.fleet_world import World, in_a_world
from tests.api.house import SHIPPED, START, Answer, House

CANARY = 'canary-7f3a/b=c d"e'
HOSTS = [HostEntry(host="app-0001"), HostEntry(host="app-0002")]
KEYS = {host.host: X25519PrivateKey.from_private_bytes(host.host.encode() * 4) for host in HOSTS}
BUNDLE = Artifact(digest="sha256:" + "c" * 64, size=1, file="scripts.tar")
CACHE = ServiceEntry(
    service="cache",
    kind="redis",
    version="7",
    secrets={"password": "redis-main"},
    placement=Placement(hosts=("app-0001", "app-0002")),
)


async def enrol(world: World, host: str, key: X25519PrivateKey | None = None, at_us: int = 1) -> None:
    """The host is known, by that key."""
    public = (key or KEYS[host]).public_key().public_bytes_raw()
    identity = Identity(
        host=host,
        identity_key="none",
        sealing_key=base64.b64encode(public).decode(),
        enrolled_at_us=at_us,
        agent_version="1",
    )
    async with transaction(world.engine) as connection:
        await identities.put_identity(connection, identity)


async def put(world: World, folder: Path, value: str, name: str = "redis-main") -> None:
    """Set a secret."""
    world.later(seconds=1)
    await secrets.set_secret(world.engine, Vault(folder), COMMAND, name, value.encode(), now=world.now)


def sealed_in(made: Document) -> SealedSecret:
    """The password of the cache."""
    return made.services[0].secrets["password"]


def opened(host: str, made: Document) -> bytes:
    """What that host finds in its document."""
    return open_sealed(sealed_in(made), host=host, key=KEYS[host])


def publisher_of(world: World, folder: Path) -> Publisher:
    """Who publishes, with keys in that folder."""
    return world.publisher(shipped=dict(SHIPPED), vault=Vault(folder))


async def versions(world: World) -> list[tuple[int, bool]]:
    """Each version of a secret, and whether its value is held."""
    async with snapshot(world.engine) as connection:
        held = await connection.execute(select(secret.c.version, secret.c.ciphertext).order_by(secret.c.version))
        return [(row.version, row.ciphertext is not None) for row in held]


def test_each_host_finds_the_secret_sealed_to_it(database_url: str, tmp_path: Path) -> None:
    """By its own key, and by no other host's."""

    async def work(world: World) -> dict[str, bytes]:
        await put(world, tmp_path, CANARY)
        await world.declare([*HOSTS, CACHE])
        for host in ("app-0001", "app-0002"):
            await enrol(world, host)
        done = await publish(world.engine, publisher_of(world, tmp_path))
        assert done.trouble == ""
        return {host: opened(host, made) for host, made in (await world.documents()).items()}

    assert in_a_world(database_url, work) == {"app-0001": CANARY.encode(), "app-0002": CANARY.encode()}


def test_a_host_that_is_not_enrolled_gets_its_document_when_it_is(database_url: str, tmp_path: Path) -> None:
    """Until then it is refused with words."""

    async def work(world: World) -> tuple[dict[str, str], list[str], bytes]:
        await put(world, tmp_path, CANARY)
        await world.declare([*HOSTS, CACHE])
        await enrol(world, "app-0001")
        first = await publish(world.engine, publisher_of(world, tmp_path))
        known = sorted(await world.documents())
        await enrol(world, "app-0002", at_us=2)
        await publish(world.engine, publisher_of(world, tmp_path))
        return first.refused, known, opened("app-0002", (await world.documents())["app-0002"])

    refused, known, value = in_a_world(database_url, work)
    told = "is not enrolled: nothing can be sealed to it, and it uses secrets (redis-main). Invite it: "
    assert {"app-0002": f"{told}towline host invite app-0002"} == refused
    assert (["app-0001"], CANARY.encode()) == (known, value)


def test_what_was_sealed_once_stays(database_url: str, tmp_path: Path) -> None:
    """Rendering everything again, for another's sake, leaves a document with secrets as it is."""

    async def work(world: World) -> dict[str, list[int]]:
        await put(world, tmp_path, CANARY)
        await world.declare([*HOSTS, CACHE])
        for host in ("app-0001", "app-0002"):
            await enrol(world, host)
        await publish(world.engine, publisher_of(world, tmp_path))
        await world.declare([HOSTS[0], HostEntry(host="app-0002", poll_interval_s=30), CACHE])
        await publish(world.engine, publisher_of(world, tmp_path))
        await put(world, tmp_path, "another one", "not-used")
        await publish(world.engine, publisher_of(world, tmp_path))
        return await world.revisions()

    assert in_a_world(database_url, work) == {"app-0001": [1], "app-0002": [1, 2]}


def test_a_secret_that_is_set_again_goes_out_as_its_next_version(database_url: str, tmp_path: Path) -> None:
    """Its old value is forgotten as soon as no document that counts carries it."""

    async def work(world: World) -> tuple[bytes, int, list[tuple[int, bool]], list[tuple[str, int]]]:
        await put(world, tmp_path, "the old value")
        await world.declare([*HOSTS[:1], CACHE])
        await enrol(world, "app-0001")
        await publish(world.engine, publisher_of(world, tmp_path))
        await put(world, tmp_path, CANARY)
        await publish(world.engine, publisher_of(world, tmp_path))
        made = (await world.documents())["app-0001"]
        async with snapshot(world.engine) as connection:
            sealed = (await connection.execute(select(sealed_secret.c.host, sealed_secret.c.version))).all()
        rows = [(row.host, row.version) for row in sealed]
        return opened("app-0001", made), sealed_in(made).version, await versions(world), rows

    expected = (CANARY.encode(), 2, [(1, False), (2, True)], [("app-0001", 2)])
    assert in_a_world(database_url, work) == expected


def test_an_old_version_is_kept_while_a_document_carries_it(database_url: str, tmp_path: Path) -> None:
    """A host for which no document can be made keeps the one that it has."""

    async def work(world: World) -> tuple[dict[str, str], list[tuple[int, bool]]]:
        await put(world, tmp_path, "the old value")
        await world.declare([*HOSTS[:1], CACHE])
        await enrol(world, "app-0001")
        await publish(world.engine, publisher_of(world, tmp_path))
        await put(world, tmp_path, CANARY)
        more = ServiceEntry(
            service="more",
            kind="redis",
            version="7",
            secrets={"password": "nobody-set-it"},
            placement=Placement(all=True),
        )
        await world.declare([*HOSTS[:1], CACHE, more])
        done = await publish(world.engine, publisher_of(world, tmp_path))
        return done.refused, await versions(world)

    told = "service more: there is no secret 'nobody-set-it': towline secret set nobody-set-it"
    assert in_a_world(database_url, work) == ({"app-0001": told}, [(1, True), (2, True)])


def test_a_host_that_is_enrolled_anew_gets_everything_sealed_anew(database_url: str, tmp_path: Path) -> None:
    """To its new key, in a new document; nothing stays sealed to the old one."""
    anew = X25519PrivateKey.from_private_bytes(b"n" * 32)

    async def work(world: World) -> tuple[bytes, list[int], int]:
        await put(world, tmp_path, CANARY)
        await world.declare([*HOSTS[:1], CACHE])
        await enrol(world, "app-0001")
        await publish(world.engine, publisher_of(world, tmp_path))
        await enrol(world, "app-0001", anew, at_us=2)
        await publish(world.engine, publisher_of(world, tmp_path))
        made = (await world.documents())["app-0001"]
        async with snapshot(world.engine) as connection:
            rows = len((await connection.execute(select(sealed_secret.c.host))).all())
        return open_sealed(sealed_in(made), host="app-0001", key=anew), (await world.revisions())["app-0001"], rows

    assert in_a_world(database_url, work) == (CANARY.encode(), [1, 2], 1)


def test_without_the_key_hosts_keep_what_they_have(database_url: str, tmp_path: Path) -> None:
    """A replica whose keys folder lacks secrets.key says so; hosts without secrets get their documents."""

    async def work(world: World) -> tuple[dict[str, str], list[str]]:
        await put(world, tmp_path / "keys", CANARY)
        await world.declare([*HOSTS, HostEntry(host="plain"), CACHE])
        for host in ("app-0001", "app-0002"):
            await enrol(world, host)
        done = await publish(world.engine, publisher_of(world, tmp_path / "other"))
        return done.refused, sorted(await world.documents())

    refused, published = in_a_world(database_url, work)
    assert (["app-0001", "app-0002"], ["plain"]) == (sorted(refused), published)
    assert "secrets.key: is not here, and secrets were encrypted under it" in refused["app-0001"]


def test_ciphertexts_cannot_be_exchanged(database_url: str, tmp_path: Path) -> None:
    """Who writes to the database cannot pass one secret off as another."""

    async def work(world: World) -> dict[str, str]:
        await put(world, tmp_path, "of somebody else", "other")
        await put(world, tmp_path, CANARY)
        await world.declare([*HOSTS[:1], CACHE])
        await enrol(world, "app-0001")
        async with transaction(world.engine) as connection:
            other = await connection.scalar(select(secret.c.ciphertext).where(secret.c.name == "other"))
            await connection.execute(update(secret).where(secret.c.name == "redis-main").values(ciphertext=other))
        return (await publish(world.engine, publisher_of(world, tmp_path))).refused

    told = in_a_world(database_url, work)["app-0001"]
    assert "is not the key that secret redis-main v1 was encrypted under" in told


def test_a_second_key_is_never_made(database_url: str, tmp_path: Path) -> None:
    """Where secrets are encrypted and their key is not here, setting another one says what is lost."""

    async def work(world: World) -> None:
        await put(world, tmp_path / "keys", CANARY)
        with pytest.raises(Misconfigured, match="copy it from the backend that made it"):
            await put(world, tmp_path / "other", "another value", "other")

    in_a_world(database_url, work)
    assert not (tmp_path / "other" / "secrets.key").exists()


def test_the_key_is_nobody_elses_to_read(tmp_path: Path) -> None:
    """Mode 0600; one that others may read is refused."""
    vault = Vault(tmp_path)
    vault.make_key()
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
    (tmp_path / "secrets.key").chmod(0o640)
    with pytest.raises(Misconfigured, match="others may read this private key"):
        vault.lock("a", 1, b"value")


def test_the_line_end_is_not_part_of_it(database_url: str, tmp_path: Path) -> None:
    """`echo` and a heredoc put one there; a second one is meant."""

    async def work(world: World) -> list[bytes]:
        vault, found = Vault(tmp_path), []
        for number, value in enumerate((b"a secret", b"a secret\n", b"a secret\r\n", b"a secret\n\n"), 1):
            await secrets.set_secret(world.engine, vault, COMMAND, "one", value, now=world.now)
            async with snapshot(world.engine) as connection:
                data = await connection.scalar(select(secret.c.ciphertext).where(secret.c.version == number))
            found.append(vault.unlock("one", number, data or b""))
        return found

    assert in_a_world(database_url, work) == [b"a secret", b"a secret", b"a secret", b"a secret\n"]


def planned(
    versions: dict[str, int], enrolled: tuple[str, ...], published: int = 0
) -> tuple[bool, list[str], list[str]]:
    """Whether a host gets another document, why its steps are taken, and what is remarked."""
    catalogue, kinds = Catalogue(services=(CACHE,), hosts=tuple(HOSTS[:1])), make_bundle(SHIPPED).kinds
    known = {}
    if published:
        sealed = SealedSecret(name="redis-main", version=published, sealed="c2VhbGVk")
        content = render(
            catalogue,
            HOSTS[0],
            kinds=kinds,
            bundle=BUNDLE,
            artifact_bases=(),
            origin=Origin(change="x"),
            sealed={"redis-main": sealed},
        )
        there = issue(content, epoch=1, revision=1, issued_at=START, expires_at=START)
        known = {"app-0001": Known(document=there, content_digest=content_digest(content))}
    made = plan_fleet(catalogue, kinds, known, {}, secrets=HeldSecrets(versions=versions, enrolled=enrolled), now=START)
    plan = made.hosts[0]
    remarks = [remark for remark in plan.remarks if "sealed" in remark]
    return plan.document_changes, sorted({reason for step in plan.steps for reason in step.reasons}), remarks


def test_a_plan_seals_nothing() -> None:
    """The version that is published is no change, the next one is; a host that is not enrolled is told to be so."""
    told = "is not enrolled: nothing can be sealed to it, so it gets this document as soon as it is"
    assert planned({"redis-main": 2}, ("app-0001",), published=2) == (False, ["is not installed"], [])
    assert planned({"redis-main": 3}, ("app-0001",), published=2) == (True, ["is not installed"], [])
    assert planned({}, ()) == (True, ["is not installed"], [told])


def put_secret(house: House, name: str = "redis-main", value: bytes = CANARY.encode(), **more: Any) -> Answer:
    """PUT /v1/secrets/{name}."""
    note = more.pop("note", "")
    return house.ask("PUT", f"/v1/secrets/{name}" + (f"?note={note}" if note else ""), value, **more)


def service(**fields: Any) -> dict[str, Any]:
    """A service as the API takes it."""
    return {"service": "cache", "kind": "redis", "version": "7", **fields}


def declare(house: House, **fields: Any) -> Answer:
    """The service, new."""
    return house.ask("PUT", "/v1/catalogue/services/cache", service(**fields), If_None_Match="*")


def test_versions_count_and_are_listed_without_values(house: House) -> None:
    """Who, when, why and where it is used; the value is told by nothing."""
    first = put_secret(house, note="first")
    house.later(hours=1)
    second = put_secret(house, value=b"another value\n", note="rotated")
    assert (200, {"name": "redis-main", "version": 1}) == (first.status, first.json)
    assert (2, 201) == (second.json["version"], declare(house, secrets={"password": "redis-main"}).status)
    shown = {
        "name": "redis-main",
        "version": 2,
        "set_by": "token:admin",
        "set_at": "2026-11-23T13:00:00Z",
        "note": "rotated",
        "used_by": ["cache"],
    }
    assert house.ask("GET", "/v1/secrets").json == {"items": [shown]}
    events = house.ask("GET", "/v1/events").json["items"]
    told = [event["action"] for event in events if event["subject"] == "secret/redis-main"]
    assert told == ["secret.set", "secret.set"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (b"short", "is 5 bytes long; 6 to 16384 are kept"),
        (b"", "is 0 bytes long; 6 to 16384 are kept"),
        (b"x" * 16385, "is 16385 bytes long; 6 to 16384 are kept"),
        (b"canary\x00canary", "is no UTF-8 text; encode what is binary, as base64 say"),
        (b"canary\xff", "is no UTF-8 text; encode what is binary, as base64 say"),
    ],
)
def test_what_is_no_secret_is_refused(small_house: House, value: bytes, problem: str) -> None:
    """With what is wrong, and without a byte of it."""
    answer = put_secret(small_house, value=value)
    assert (422, [("/value", problem)]) == (answer.status, answer.problems)
    assert b"canary" not in answer.content


def test_a_name_that_is_none_is_refused(small_house: House) -> None:
    """The grammar is said in words."""
    answer = put_secret(small_house, name="Redis")
    assert (422, ["/name"]) == (answer.status, [pointer for pointer, _ in answer.problems])


def test_a_viewer_sets_nothing(small_house: House) -> None:
    """And an operator does."""
    assert [403, 200] == [put_secret(small_house, role=role).status for role in (Role.VIEWER, Role.OPERATOR)]


def test_a_secret_in_use_is_not_removed(house: House) -> None:
    """One that nobody names is; its number goes on when it is set again, or hosts would see no change."""
    put_secret(house)
    etag = declare(house, secrets={"password": "redis-main"}).headers["etag"]
    refused = house.ask("DELETE", "/v1/secrets/redis-main")
    assert (409, True) == (refused.status, "is used by cache" in refused.json["detail"])
    assert house.ask("PUT", "/v1/catalogue/services/cache", service(), If_Match=etag).status == 200
    statuses = [house.ask("DELETE", "/v1/secrets/redis-main").status for _ in range(2)]
    assert ([204, 404], 2) == (statuses, put_secret(house).json["version"])


def test_a_catalogue_that_names_an_unknown_secret_is_refused(small_house: House) -> None:
    """With the command that sets it."""
    answer = declare(small_house, secrets={"password": "redis-main"})
    told = "there is no secret 'redis-main'; set it: towline secret set redis-main"
    assert (422, [("/secrets/password", told)]) == (answer.status, answer.problems)


def test_no_value_is_in_the_database(small_house: House) -> None:
    """In no form, in no file of the state folder or the database, also when it was removed."""
    put_secret(small_house)
    put_secret(small_house, name="removed")
    small_house.ask("DELETE", "/v1/secrets/removed")
    root = small_house.settings.state_folder.parent
    stored = {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    assert {"towline.db", "secrets.key"} <= stored.keys()
    assert [(name, form) for name, data in stored.items() for form in forms(CANARY) if form in data] == []


def forms(value: str) -> list[bytes]:
    """As it is, and as somebody might have written it."""
    data = value.encode()
    encoded = base64.b64encode(data).rstrip(b"=")[:-1]
    return [data, encoded, data.hex().encode(), quote(value, safe="").encode()]


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings by environment, in a scratch folder."""
    monkeypatch.setenv("TOWLINE_STATE_FOLDER", str(tmp_path / "state"))
    return tmp_path


def test_the_command_reads_standard_input(environment: Path) -> None:
    """It prints name and version; the list has no value; a removed one is gone from it."""

    def towline(*arguments: str, given: str = "") -> str:
        done = CliRunner().invoke(main, ["secret", *arguments], input=given, catch_exceptions=False)
        assert (done.exit_code, CANARY in done.output) == (0, False)
        return done.output

    assert towline("set", "redis-main", "--note", "for orders", given=CANARY + "\n") == "redis-main v1\n"
    assert towline("set", "redis-main", given=CANARY) == "redis-main v2\n"
    assert "redis-main\tv2" in towline("list")
    assert towline("remove", "redis-main") == "redis-main: forgotten\n"
    assert towline("list") == ""


def test_the_page_shows_names_and_versions(small_house: House) -> None:
    """Beside the services, with who uses each."""
    put_secret(small_house, note="for+the+shop")
    declare(small_house, secrets={"password": "redis-main"})
    page = small_house.ask("GET", "/services", accept="text/html,*/*").content.decode()
    shown = page[page.index('id="secrets"') :]
    assert [] == [word for word in ("redis-main", "for the shop", "v1", 'href="/services/cache"') if word not in shown]
    assert [] == [form for form in forms(CANARY) if form in page.encode()]


def test_an_unknown_secret_refuses_an_import_and_warns_in_a_plan(environment: Path) -> None:
    """The database that `towline plan` reads need not be the one that the tree is imported into."""
    tree = environment / "tree"
    (tree / "catalogue").mkdir(parents=True)
    (tree / "catalogue" / "java.yaml").write_text(
        "service: orders\nkind: java\nversion: '1'\nstate: adopted\nparameters: {port: 8080}\n"
        "secrets:\n  secret: orders-properties\nplacement: {hosts: [app-1]}\n"
    )
    (tree / "catalogue" / "app-1.yaml").write_text("host: app-1\n")
    told = "there is no secret 'orders-properties'; set it: towline secret set orders-properties"

    def towline(*arguments: str, given: str = "") -> tuple[int, str]:
        done = CliRunner().invoke(main, arguments, input=given, catch_exceptions=False)
        return done.exit_code, done.output

    code, plan = towline("plan", str(tree))
    assert (2, True) == (code, f"java.yaml:7: warning: /secrets/secret: {told}" in plan), plan
    code, refused = towline("import", "--folder", str(tree))
    assert (1, True) == (code, f"java.yaml:7: /secrets/secret: {told}" in refused), refused
    towline("secret", "set", "orders-properties", given="user=orders\npassword=hunter22\n")
    assert towline("import", "--folder", str(tree))[0] == 0
