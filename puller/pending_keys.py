"""Keys that were shown to a backend whose answer has not arrived: whatever ends the enrolment, it goes on with them.

They are on disk before the token is used. The backend lets in once, and answers whoever got in again; so a host that
lost the answer, or its power, asks again with the same keys and is told what it was told.
"""

import shutil
from pathlib import Path

from puller.durable_file import sync_folder, write_file
from puller.identity import HostKeys, generate_keys, load_keys, store_keys

TOKEN = "token"  # noqa: S105 - the name of a file


class PendingKeys:
    """The folder `state/keys.pending`: two keys and, written last, the id of the token that they were made for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def are_for(self, token_id: str) -> bool:
        """Whether an enrolment with that token was begun here and not finished."""
        return read_token_id(self._folder) == token_id

    def keys(self, token_id: str) -> HostKeys:
        """The keys made for that token, now or before. Those of another token are given up. Raises OSError, Stalled."""
        if self.are_for(token_id):
            return load_keys(self._folder)
        self.forget()
        keys = generate_keys()
        store_keys(keys, self._folder)
        mark_token(self._folder, token_id)
        return keys

    def forget(self) -> None:
        """The enrolment is finished, or given up. The mark goes first: keys without one are nobody's."""
        if self._folder.is_dir():
            (self._folder / TOKEN).unlink(missing_ok=True)
            shutil.rmtree(self._folder)
            sync_folder(self._folder.parent)


def mark_token(folder: Path, token_id: str) -> None:
    """Writes beside keys which join token they belong to: its id, no secret."""
    write_file(folder / TOKEN, f"{token_id}\n".encode(), mode=0o600)


def read_token_id(folder: Path) -> str:
    """Which join token the keys in a folder belong to; empty where nobody wrote it down."""
    try:
        return (folder / TOKEN).read_text(encoding="ascii", errors="replace").strip()
    except (FileNotFoundError, NotADirectoryError):
        return ""
