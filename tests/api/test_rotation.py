"""`towline trust rotate`: a new publisher's key, believed by hosts, taken over by backends that run."""

import asyncio
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from msgspec import structs
from sqlalchemy import select

from api import key_files
from api.backend import open_backend, open_engine
from api.cli import main
from api.database import snapshot
from api.errors import Conflict, Invalid, Misconfigured
from api.key_files import NEXT, NEXT_ROOT, PUBLISHER, ROOT
from api.models import host_document, publication
from api.principal import COMMAND
from api.services import trust
from api.services.trust import Trusted
from api.settings import Settings
from desired_state.document import decode
from desired_state.names import digest_of
from desired_state.note import NoteRefused, SigningKey, VerifierKey, open_note, parse_note
from desired_state.trust import Trust, TrustRefused, accept_trust, sign_trust
from tests.api.house import START, House, settings_for


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A backend with its first trust note."""
    made = settings_for(database_url, tmp_path)
    within(made, lambda engine: trust.init(engine, made.keys_folder, "https://towline.example", COMMAND, now=START))
    return made


def within(settings: Settings, work: Any) -> Any:
    """Do something with the database."""

    async def run() -> Any:
        async with open_engine(settings, pooled=False) as engine:
            return await work(engine)

    return asyncio.run(run())


def rotated(settings: Settings, **how: Any) -> Trusted:
    """The trust after a rotation."""
    made: Trusted = within(settings, lambda e: trust.rotate(e, settings.keys_folder, COMMAND, now=START, **how))
    return made


def notes(settings: Settings, count: int) -> list[bytes]:
    """The first trust notes."""
    return [within(settings, lambda engine, n=n: trust.version(engine, n)) for n in range(1, count + 1)]


def believed(settings: Settings, count: int) -> Trust:
    """What a host comes to that takes these notes over one by one."""
    held = None
    for note in notes(settings, count):
        held = accept_trust(held, digest_of(parse_note(note).text), note)
    assert held is not None
    return held


def test_hosts_follow_a_rotation(settings: Settings) -> None:
    """The next note is one that hosts accept: the new key first, the old one still believed, the epoch as it was."""
    (old,) = believed(settings, 1).keys
    made = rotated(settings)
    held = believed(settings, 2)
    assert (2, 1, (str(made.keys.publisher.verifier), old)) == (held.version, held.epoch, held.keys)
    assert (True, 0o600) == (made.signs, (settings.keys_folder / PUBLISHER).stat().st_mode & 0o777)


def test_a_withdrawn_key_is_believed_no_more(settings: Settings) -> None:
    """Only the new key counts, in a new epoch; keys of graceful rotations before go too."""
    rotated(settings)
    made = rotated(settings, withdraw=True)
    held = believed(settings, 3)
    assert (3, 2, (str(made.keys.publisher.verifier),)) == (held.version, held.epoch, held.keys)


def test_a_rotation_is_audited(settings: Settings) -> None:
    """Who, when, which key, which epoch."""
    rotated(settings, withdraw=True)
    with House(settings).open() as house:
        line = next(one for one in house.ask("GET", "/v1/events").json["items"] if one["action"] == "trust.rotated")
    assert ("command", "trust/2", "2", "true") == (
        line["actor"],
        line["subject"],
        line["detail"]["epoch"],
        line["detail"]["withdrawn"],
    )


def test_the_root_key_may_come_from_its_safe(settings: Settings, tmp_path: Path) -> None:
    """Without it nothing is rotated; from a file elsewhere it signs, and is not copied into the folder."""
    safe = shutil.move(settings.keys_folder / ROOT, tmp_path / "safe.key")
    with pytest.raises(Misconfigured, match="--root-key"):
        rotated(settings)
    assert 2 == rotated(settings, root_key=Path(safe)).trust.version
    assert not (settings.keys_folder / ROOT).exists()


def test_another_root_key_signs_nothing(settings: Settings, tmp_path: Path) -> None:
    """Hosts would refuse it: it is refused here, and nothing changed."""
    file = tmp_path / "other.key"
    file.write_text(SigningKey.generate("towline.example/towline-root", os.urandom(32)).private_text())
    file.chmod(0o600)
    before = (settings.keys_folder / PUBLISHER).read_bytes()
    with pytest.raises(Invalid, match="hosts would refuse"):
        rotated(settings, root_key=file)
    assert (1, before) == (
        within(settings, trust.newest).version,
        (settings.keys_folder / PUBLISHER).read_bytes(),
    )


def test_hosts_follow_to_another_root_key(settings: Settings) -> None:
    """Both sign the note between; the new one alone signs those after it, and lies in the folder for its owner only."""
    former = key_files.read_signing_key(settings.keys_folder / ROOT)
    made = rotated(settings, new_root=True)
    held = believed(settings, 2)
    root = made.keys.root
    assert root is not None
    assert (2, (str(root.verifier),)) == (held.version, held.root_keys)
    assert former.verifier != root.verifier
    assert 0o600 == (settings.keys_folder / ROOT).stat().st_mode & 0o777
    rotated(settings)
    assert (3, held.root_keys) == (believed(settings, 3).version, believed(settings, 3).root_keys)


def test_the_former_root_key_signs_nothing_any_more(settings: Settings, tmp_path: Path) -> None:
    """Whoever stole it cannot make a note that follows: hosts refuse it, and so do we."""
    stolen = shutil.copy2(settings.keys_folder / ROOT, tmp_path / "stolen.key")
    made = rotated(settings, new_root=True, withdraw=True)
    with pytest.raises(Invalid, match="hosts would refuse"):
        rotated(settings, root_key=Path(stolen))
    held = believed(settings, 2)
    theirs = structs.replace(held, version=3)
    with pytest.raises(TrustRefused, match="of the version before"):
        accept_trust(held, None, sign_trust(theirs, [key_files.read_signing_key(Path(stolen))]))
    assert (2, 2) == (made.trust.version, made.trust.epoch)


def test_another_root_key_from_the_one_in_the_safe(settings: Settings, tmp_path: Path) -> None:
    """The safe's hands over; the new one lies in the folder, and the safe's stays where it was."""
    safe = Path(shutil.move(settings.keys_folder / ROOT, tmp_path / "safe.key"))
    made = rotated(settings, root_key=safe, new_root=True)
    assert made.keys.root is not None
    assert (made.trust.root_keys, True) == ((str(made.keys.root.verifier),), safe.exists())


def test_another_root_key_that_was_cut_off(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the note is stored the staged key takes its place in whichever process looks next; before, it is nothing."""
    former = (settings.keys_folder / ROOT).read_text()

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(trust.notes, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            rotated(settings, new_root=True)
    assert (former, True) == ((settings.keys_folder / ROOT).read_text(), (settings.keys_folder / NEXT_ROOT).exists())
    assert former == within_root(settings)
    calls: list[int] = []

    def killed_later(_folder: Path, _verifiers: object) -> None:
        calls.append(1)
        if len(calls) > 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(key_files, "settle_root", killed_later)
        with pytest.raises(KeyboardInterrupt):
            rotated(settings, new_root=True)
    assert former == (settings.keys_folder / ROOT).read_text()
    found = within(settings, lambda engine: trust.current(engine, settings.keys_folder))
    assert found.trust.root_keys == (str(found.keys.root.verifier),)
    assert former != (settings.keys_folder / ROOT).read_text()


def within_root(settings: Settings) -> str:
    """The root key's file, after somebody looked."""
    within(settings, lambda engine: trust.current(engine, settings.keys_folder))
    return (settings.keys_folder / ROOT).read_text()


def test_cut_off_after_the_note_was_stored(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The staged key takes its place the next time that anybody looks."""

    calls: list[str] = []

    def killed(_folder: Path, verifier: str) -> None:
        calls.append(verifier)
        if len(calls) > 1:  # the first call looks whether an earlier rotation was cut off
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(key_files, "settle_publisher", killed)
        with pytest.raises(KeyboardInterrupt):
            rotated(settings, withdraw=True)
    assert (settings.keys_folder / NEXT).exists()
    found = within(settings, lambda engine: trust.current(engine, settings.keys_folder))
    assert (2, True, False) == (found.trust.version, found.signs, (settings.keys_folder / NEXT).exists())


def test_cut_off_before_the_note_was_stored(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A staged key that no note names changes nothing, and the next rotation makes another."""

    async def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    before = within(settings, lambda engine: trust.current(engine, settings.keys_folder))
    with monkeypatch.context() as patched:
        patched.setattr(trust.notes, "add", killed)
        with pytest.raises(KeyboardInterrupt):
            rotated(settings)
    staged = SigningKey.parse((settings.keys_folder / NEXT).read_text().strip())
    after = within(settings, lambda engine: trust.current(engine, settings.keys_folder))
    assert before.trust == after.trust
    assert after.signs
    assert str(staged.verifier) not in rotated(settings).trust.keys


def test_of_two_at_once_one_rotates(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other is told so, and its key never counts."""
    real = trust.notes.add

    async def add(connection: Any, row: Any) -> None:
        await real(connection, row)
        await real(connection, row)  # another replica, with its own folder, was a moment earlier

    with monkeypatch.context() as patched:
        patched.setattr(trust.notes, "add", add)
        with pytest.raises(Conflict, match="at the same moment"):
            rotated(settings)
    assert 1 == within(settings, trust.newest).version


def test_keys_do_not_pile_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the bound the old ones must be withdrawn first."""
    monkeypatch.setattr(trust, "MAX_KEYS", 2)
    rotated(settings)
    with pytest.raises(Invalid, match="--withdraw"):
        rotated(settings)
    assert 3 == rotated(settings, withdraw=True).trust.version


def test_the_command_rotates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It prints version, epoch and digest; `trust show` prints the new key first."""
    monkeypatch.setenv("TOWLINE_STATE_FOLDER", str(tmp_path / "state"))

    def towline(*arguments: str) -> str:
        done = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert 0 == done.exit_code, done.stderr
        return done.stdout

    towline("trust", "init")
    old = towline("trust", "show").split()
    assert towline("trust", "rotate").startswith("trust version 2, epoch 1, digest sha256:")
    assert old == towline("trust", "show").split()[1:]
    assert towline("trust", "rotate", "--withdraw").startswith("trust version 3, epoch 2, ")
    assert 1 == len(towline("trust", "show").split())
    assert towline("trust", "rotate", "--new-root").startswith("trust version 4, epoch 2, ")


class Running:
    """A backend that runs while keys are rotated beside it."""

    def __init__(self, house: House) -> None:
        self.house = house
        house.ask("PUT", "/v1/catalogue/hosts/alpha", {"host": "alpha"})

    def publish(self) -> dict[str, Any]:
        """What its timer does."""
        found: dict[str, Any] = self.house.ask("POST", "/v1/publish").json
        return found

    def document(self) -> tuple[int, int, str]:
        """Epoch and revision of alpha's document, and which verifier key opens it."""

        async def note(engine: Any) -> bytes:
            async with snapshot(engine) as connection:
                found: bytes = await connection.scalar(select(host_document.c.note))
                return found

        data = self.house.run(note)
        for key in self.house.run(lambda e: trust.current(e, self.house.settings.keys_folder)).trust.keys:
            try:
                document = decode(open_note(data, [VerifierKey.parse(key)], 1))
            except NoteRefused:
                continue
            return document.epoch, document.revision, key
        raise AssertionError("no key that is believed signed the document")

    def publications(self) -> int:
        """How many rows publishing has written."""

        async def rows(engine: Any) -> int:
            async with snapshot(engine) as connection:
                return len(list(await connection.scalars(select(publication.c.id))))

        return self.house.run(rows)


@pytest.fixture
def backend(house: House) -> Running:
    """On each database."""
    return Running(house)


def test_a_running_backend_signs_with_the_new_key(backend: Running) -> None:
    """What was published still counts and stays; what is published from now on the new key signs. No restart."""
    backend.publish()
    old = backend.document()
    made = rotated(backend.house.settings)
    backend.publish()
    kept = backend.document()
    backend.house.ask("PUT", "/v1/catalogue/hosts/alpha", {"host": "alpha", "poll_interval_s": 30}, **_any(backend))
    backend.publish()
    assert (old, (1, 2, made.trust.keys[0])) == (kept, backend.document())


def _any(backend: Running) -> dict[str, str]:
    return {"If_Match": backend.house.ask("GET", "/v1/catalogue/hosts/alpha").headers["etag"]}


def test_a_running_backend_issues_everything_anew_after_a_withdrawal(backend: Running) -> None:
    """Nothing that the withdrawn key signed is served any longer."""
    backend.publish()
    made = rotated(backend.house.settings, withdraw=True)
    backend.publish()
    assert (2, 2, made.trust.keys[0]) == backend.document()


@pytest.mark.parametrize("withdraw", [False, True])
def test_a_replica_without_the_new_key_waits_quietly(backend: Running, tmp_path: Path, withdraw: bool) -> None:
    """It signs nothing with the old one, writes no row, says what to copy, and goes on once that was done."""
    backend.publish()
    ours = backend.house.settings.keys_folder
    elsewhere = tmp_path / "elsewhere"
    shutil.copytree(ours, elsewhere)
    within(backend.house.settings, lambda e: trust.rotate(e, elsewhere, COMMAND, now=START, withdraw=withdraw))
    before = backend.publications()
    said = [backend.publish() for _ in range(2)]
    assert before == backend.publications()
    assert ["copy the keys folder" in str(one["waiting_for"]) for one in said] == [True, True]
    shutil.copytree(elsewhere, ours, dirs_exist_ok=True)
    assert "" == backend.publish()["waiting_for"]
    made = within(backend.house.settings, lambda e: trust.current(e, ours))
    backend.house.ask("PUT", "/v1/catalogue/hosts/alpha", {"host": "alpha", "poll_interval_s": 30}, **_any(backend))
    backend.publish()
    assert made.trust.keys[0] == backend.document()[2]


def test_a_start_with_withdrawn_keys_is_refused(backend: Running, tmp_path: Path) -> None:
    """A replica that comes back with old keys says what to copy, and serves nothing that hosts would refuse."""
    settings = backend.house.settings
    old = tmp_path / "old"
    shutil.copytree(settings.keys_folder, old)
    rotated(settings, withdraw=True)
    shutil.copytree(old, settings.keys_folder, dirs_exist_ok=True)

    async def start() -> None:
        async with open_backend(settings, pooled=False):
            raise AssertionError("it started")

    with pytest.raises(Misconfigured, match="are not those of trust version 2"):
        asyncio.run(start())
