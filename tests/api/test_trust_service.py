"""The publisher's keys are made once, kept private, and never mixed up."""

import asyncio
import shutil
from pathlib import Path

import pytest

from api.backend import open_engine
from api.errors import Misconfigured
from api.key_files import EXCHANGE, PUBLISHER, ROOT
from api.principal import COMMAND
from api.services import trust
from api.services.trust import Trusted
from api.settings import Settings
from desired_state.trust import accept_trust
from tests.api.house import START, settings_for


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    """A backend that was never started."""
    return settings_for(database_url, tmp_path)


def _init(settings: Settings) -> Trusted:
    async def work() -> Trusted:
        async with open_engine(settings, pooled=False) as engine:
            return await trust.init(engine, settings.keys_folder, "https://towline.example:8470", COMMAND, now=START)

    return asyncio.run(work())


def test_the_first_start_makes_keys_that_nobody_else_reads(settings: Settings) -> None:
    """Three files of mode 0600 in a folder of mode 0700; the key's name says whose it is."""
    made = _init(settings)
    modes = {file.name: file.stat().st_mode & 0o777 for file in settings.keys_folder.glob("*.key")}
    assert modes == {PUBLISHER: 0o600, ROOT: 0o600, EXCHANGE: 0o600}
    assert settings.keys_folder.stat().st_mode & 0o777 == 0o700
    assert made.trust.keys[0].startswith("towline.example/towline-publisher+")


def test_every_later_start_finds_the_same(settings: Settings) -> None:
    """Nothing is made twice."""
    assert _init(settings).digest == _init(settings).digest


def test_hosts_accept_what_was_made(settings: Settings) -> None:
    """The note is one that a host accepts with the digest of its join token."""
    made = _init(settings)

    async def note() -> bytes:
        async with open_engine(settings, pooled=False) as engine:
            return await trust.version(engine, None)

    assert accept_trust(None, made.digest, asyncio.run(note())) == made.trust


def test_the_root_key_may_be_away(settings: Settings) -> None:
    """It signs trust files only: taken to a safe, the backend still starts."""
    first = _init(settings)
    (settings.keys_folder / ROOT).unlink()
    assert _init(settings).digest == first.digest


def test_lost_keys_are_not_replaced_silently(settings: Settings) -> None:
    """Hosts would refuse everything that new keys sign: the start fails and says what to copy."""
    _init(settings)
    shutil.rmtree(settings.keys_folder)
    with pytest.raises(Misconfigured, match="holds no keys: copy them"):
        _init(settings)


def test_foreign_keys_are_noticed(settings: Settings, tmp_path: Path) -> None:
    """A replica with keys of its own does not start."""
    _init(settings)
    _init(other := settings_for(f"sqlite:///{tmp_path / 'other.db'}", tmp_path / "other"))
    shutil.rmtree(settings.keys_folder)
    shutil.copytree(other.keys_folder, settings.keys_folder)
    with pytest.raises(Misconfigured, match="are not those of trust version 1"):
        _init(settings)


def test_a_key_that_others_may_read_is_refused(settings: Settings) -> None:
    """With the command that puts it right."""
    _init(settings)
    (settings.keys_folder / PUBLISHER).chmod(0o644)
    with pytest.raises(Misconfigured, match="chmod 600"):
        _init(settings)


def test_a_damaged_key_is_refused_and_not_shown(settings: Settings) -> None:
    """The error names the file, not the key."""
    _init(settings)
    file = settings.keys_folder / PUBLISHER
    secret = file.read_text().strip()
    file.write_text(secret[:-4] + "AAAA")
    with pytest.raises(Misconfigured, match="does not hold a key") as refusal:
        _init(settings)
    assert secret[-40:-4] not in str(refusal.value)
