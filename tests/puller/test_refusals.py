"""Documents that a host must not act upon: nothing on it changes, and its status says why. One case for each attack."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from desired_state.note import sign
from tests.core.publisher import PUBLISHER, ROOT, SECOND, STRANGER, note_of, trust_note
from tests.fakes.puller import FakePuller, condition, on_a_host, running

Attack = Callable[[FakePuller, bytes], bytes | None]


def altered(p: FakePuller, note: bytes) -> bytes:
    return note.replace(b'"version": "1.0"', b'"version": "6.6"')


def signed_by_a_stranger(p: FakePuller, note: bytes) -> bytes:
    return note_of(STRANGER, revision=99, bundle=p.bundle, services=(running("evil"),))


def of_another_host(p: FakePuller, note: bytes) -> bytes:
    return note_of(host="other.example", revision=99, bundle=p.bundle)


def expired(p: FakePuller, note: bytes) -> bytes:
    now = p.clock.wall
    return note_of(
        revision=99, bundle=p.bundle, issued_at=now - timedelta(days=90), expires_at=now - timedelta(seconds=1)
    )


def replayed(p: FakePuller, note: bytes) -> bytes:
    return note_of(revision=1, bundle=p.bundle, services=(), expires_at=p.clock.wall + timedelta(days=1))


def forked(p: FakePuller, note: bytes) -> bytes:
    return note_of(revision=p.revision, bundle=p.bundle, services=(), expires_at=p.clock.wall + timedelta(days=1))


def with_an_unknown_word(p: FakePuller, note: bytes) -> bytes:
    text = note.partition(b"\n\n")[0] + b"\n"
    return sign(text.replace(b'"schema"', b'"shcema": 1,\n  "schema"', 1), (PUBLISHER,))


ATTACKS: dict[str, tuple[Attack, str]] = {
    "altered": (altered, "SignatureUntrusted"),
    "stranger": (signed_by_a_stranger, "SignatureUntrusted"),
    "wrong host": (of_another_host, "WrongHost"),
    "expired": (expired, "DocumentExpired"),
    "replayed": (replayed, "RevisionOld"),
    "forked": (forked, "RevisionForked"),
    "unknown word": (with_an_unknown_word, "DocumentInvalid"),
    "empty": (lambda p, note: b"", "DocumentEmpty"),
    "missing": (lambda p, note: None, "DocumentMissing"),
    "truncated": (lambda p, note: note[: len(note) // 2], "DocumentMalformed"),
    "garbage": (lambda p, note: bytes(range(256)) * 50, "DocumentMalformed"),
    "too large": (lambda p, note: b"x" * (3 << 20), "DocumentTooLarge"),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_a_refused_document_changes_nothing(tmp_path: Path, name: str) -> None:
    """What runs, the record, the ratchet and the held document stay as they are; the reason is told and reported."""
    attack, reason = ATTACKS[name]

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        note = p.publish(running("one"))
        await p.run_pass()
        p.host.calls.clear()
        before = dict(p.host.services)
        p.source.put(attack(p, note))
        end = await p.run_pass()
        assert ([], before) == (p.host.calls, p.host.services)
        assert (2, 2) == (end.status.accepted_revision, end.status.applied_revision)
        assert ("refused", reason) == (end.status.sync, end.status.refused_reason)
        stalled = condition(p.sink.last.status, "Stalled")
        assert ("True", "DocumentRefused") == (stalled.status, stalled.reason)
        assert stalled.message.startswith(f"{reason}: ")

    on_a_host(tmp_path, story)


def test_a_refused_document_does_not_stop_the_healing(tmp_path: Path) -> None:
    """With rubbish at the source a service that died is started as the last accepted document says."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.put(b"rubbish")
        p.host.kill("one")
        await p.run_pass()
        assert "running" == p.host.service("one").state

    on_a_host(tmp_path, story)


def test_a_document_cut_anywhere_is_refused(tmp_path: Path) -> None:
    """Whatever part of a new document arrives, none of it is acted upon."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        note = p.publish(running("one"), running("two"))
        p.host.calls.clear()
        for length in range(0, len(note), 37):
            p.source.put(note[:length])
            end = await p.run_pass()
            assert ([], 1, True) == (p.host.calls, end.status.accepted_revision, bool(end.status.refused_reason))

    on_a_host(tmp_path, story)


def test_the_ratchet_survives_a_restart(tmp_path: Path) -> None:
    """An old document with a good signature is refused by a puller that has just started."""

    async def story(p: FakePuller) -> None:
        old = p.publish(running("one"))
        await p.run_pass()
        p.publish(running("one", version="2.0"))
        await p.run_pass()
        p.restart()
        p.source.put(old)
        end = await p.run_pass()
        assert ("RevisionOld", "2.0") == (end.status.refused_reason, p.host.service("one").version)

    on_a_host(tmp_path, story)


def test_refusal_ends_with_a_good_document(tmp_path: Path) -> None:
    """The next sound document is applied and the host is ready again."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.put(b"rubbish")
        await p.run_pass()
        p.publish(running("one", version="2.0"))
        end = await p.run_pass()
        assert ("synced", "2.0") == (end.status.sync, p.host.service("one").version)

    on_a_host(tmp_path, story)


def test_a_new_publisher_key_arrives_by_a_new_trust_file(tmp_path: Path) -> None:
    """A document under a new epoch and key makes the host fetch the next trust file, signed by the roots it knows."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        fields = {"bundle": p.bundle, "services": (running("one", version="2.0"),), "revision": 1, "epoch": 2}
        p.source.put(note_of(SECOND, **fields, expires_at=p.clock.wall + timedelta(days=90)))
        p.source.trust[2] = trust_note(ROOT, version=2, epoch=2, keys=(str(SECOND.verifier),))
        end = await p.run_pass()
        assert (2, 1, "2.0") == (
            end.status.accepted_epoch,
            end.status.accepted_revision,
            p.host.service("one").version,
        )

    on_a_host(tmp_path, story)


def test_a_trust_file_of_a_stranger_is_refused(tmp_path: Path) -> None:
    """A trust file that the known roots did not sign brings no key."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.put(signed_by_a_stranger(p, b""))
        p.source.trust[2] = trust_note(STRANGER, version=2, keys=(str(STRANGER.verifier),))
        p.host.calls.clear()
        end = await p.run_pass()
        assert ([], "SignatureUntrusted") == (p.host.calls, end.status.refused_reason)

    on_a_host(tmp_path, story)


def test_a_withdrawn_key_withdraws_what_it_signed(tmp_path: Path) -> None:
    """Once the epoch was raised, a document of the old one that is still held orders nothing any more."""

    async def story(p: FakePuller) -> None:
        p.publish(running("one"))
        await p.run_pass()
        p.source.put(note_of(STRANGER, revision=99, epoch=2, bundle=p.bundle))
        p.source.trust[2] = trust_note(ROOT, version=2, epoch=2, keys=(str(SECOND.verifier),))
        await p.run_pass()
        p.host.kill("one")
        p.host.calls.clear()
        end = await p.run_pass()
        assert ([], "stopped") == (p.host.calls, p.host.service("one").state)
        assert "False" == condition(end.status, "Ready").status

    on_a_host(tmp_path, story)
