"""Digests of configuration files, computed in process: as `check_status` prints them, without a script."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

MAX_FILE_BYTES = 16 << 20

_Marks = tuple[int, int, int, int]


class WatchedFiles:
    """Remembers each file's digest for as long as the file system says that it was not touched."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[_Marks, str]] = {}

    def config_digest(self, watch: Sequence[str]) -> str:
        """The digest over these files as the contract defines it; empty when one of them is too large or unreadable."""
        words = [self._word(path) for path in watch]
        if not all(words):
            return ""
        lines = "".join(f"{word}\n" for word in words)
        return f"sha256:{sha256(lines.encode()).hexdigest()}"

    def _word(self, path: str) -> str:
        try:
            facts = Path(path).stat()
            # ctime cannot be set back, so content changed by hand always shows.
            marks = (facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns)
            known = self._known.get(path)
            if known is None or known[0] != marks:
                known = (marks, _digest(Path(path), facts.st_size))
                self._known[path] = known
        except FileNotFoundError:
            return "missing"
        except OSError:
            return ""
        return known[1]


def _digest(path: Path, size: int) -> str:
    if size > MAX_FILE_BYTES or not path.is_file():
        return ""
    return sha256(path.read_bytes()).hexdigest()
