"""Packages and bundles in the state folder, kept by content: the name of a file is the digest of its bytes."""

import os
import tempfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path

from api.errors import Refused, TryLater
from desired_state.names import Digest

CHUNK = 1 << 20


class ArtifactStore:
    """A folder `sha256/<hex>`. Blocking; safe for several processes: a file appears whole, and only with its digest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "sha256"

    def path_of(self, digest: Digest) -> Path:
        """Where the bytes of that digest lie, or would lie."""
        return self._folder / digest.removeprefix("sha256:")

    def find(self, digest: Digest) -> Path | None:
        """The file of that digest, if it is here."""
        path = self.path_of(digest)
        return path if path.is_file() else None

    def put(self, chunks: Iterable[bytes], *, expected: Digest | None = None, size: int | None = None) -> Digest:
        """Keep these bytes and return their digest. Raises Refused unless they are what was expected."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
        except OSError as error:
            raise TryLater(f"cannot write to {self._folder}: {error}") from error
        temporary = Path(name)
        try:
            return self._keep(descriptor, temporary, chunks, expected, size)
        except OSError as error:
            raise TryLater(f"cannot write to {self._folder}: {error}") from error
        finally:
            temporary.unlink(missing_ok=True)

    def _keep(
        self, descriptor: int, temporary: Path, chunks: Iterable[bytes], expected: Digest | None, size: int | None
    ) -> Digest:
        hashed, length = sha256(), 0
        with os.fdopen(descriptor, "wb") as file:
            for chunk in chunks:
                hashed.update(chunk)
                length += len(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        digest = f"sha256:{hashed.hexdigest()}"
        if size is not None and length != size:
            raise Refused(f"these are {length} bytes, not the {size} that were announced")
        if expected is not None and digest != expected:
            raise Refused(f"these bytes have the digest {digest}, not {expected}")
        temporary.chmod(0o444)
        temporary.replace(self.path_of(digest))
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return digest


def chunks_of(path: Path) -> Iterable[bytes]:
    """A file's bytes, a megabyte at a time."""
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
