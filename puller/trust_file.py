"""The trust file on this host: a signed note, replaced only by the next version."""

from collections.abc import Callable
from pathlib import Path

import structlog

from desired_state.note import NoteRefused, parse_note
from desired_state.trust import Trust, TrustRefused, accept_trust, decode
from puller.durable_file import write_file
from puller.ports import Source, Stalled

MAX_VERSIONS_AT_ONCE = 100
_log = structlog.get_logger("towline.trust")


class TrustFile:
    """Whom this host believes. Enrolment puts the first one here."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.trust = read_trust(path)
        self.on_change: Callable[[Trust], None] = lambda _: None

    async def advance(self, source: Source) -> bool:
        """Takes over every newer version that the source has, one by one; whether there was one. Raises Unavailable.

        A version that is refused changes nothing: it is logged, and the one at hand goes on holding.
        """
        before = self.trust.version
        for _ in range(MAX_VERSIONS_AT_ONCE):
            data = await source.fetch_trust(self.trust.version + 1)
            if data is None:
                break
            try:
                trust = accept_trust(self.trust, None, data)
            except TrustRefused as error:
                _log.warning("trust file refused", version=self.trust.version + 1, reason=str(error))
                break
            write_file(self._path, data, mode=0o644)
            self.trust = trust
            _log.info("trust file accepted", version=trust.version, epoch=trust.epoch)
            self.on_change(trust)
        return self.trust.version > before


def read_trust(path: Path) -> Trust:
    """The trust file that enrolment or a rotation left; its signatures were checked before it was put there."""
    try:
        return decode(parse_note(path.read_bytes()).text)
    except FileNotFoundError as error:
        raise Stalled(f"{path} is not there: this host is not enrolled; run towline-puller enroll") from error
    except (NoteRefused, TrustRefused, OSError) as error:
        raise Stalled(f"{path} cannot be read ({error}): restore it, or enrol this host again") from error
