"""The way of a document to its host, in the hands of a test."""

from hashlib import sha256
from pathlib import Path

import msgspec

from desired_state.document import decode, encode
from desired_state.note import SigningKey, parse_note, sign
from tests.end_to_end import databases
from tests.end_to_end.demo.machine import Machine
from tests.end_to_end.world import World


class Post:
    """A host, and the way by which its documents come: a folder that others can get at."""

    def __init__(self, world: World, machine: Machine, folder: Path) -> None:
        self.world = world
        self.machine = machine
        self.place = folder / path_of(machine.name)
        self.good = published(world, machine.name)
        self.deliver(self.good)

    def deliver(self, data: bytes | None) -> None:
        """Puts these bytes where the host looks; None: takes away what is there."""
        self.place.unlink(missing_ok=True)
        if data is not None:
            self.place.parent.mkdir(parents=True, exist_ok=True)
            self.place.write_bytes(data)

    def signed(self, **changes: object) -> bytes:
        """The good document with something else in it, signed by the publisher's own key."""
        document = msgspec.structs.replace(decode(parse_note(self.good).text), **changes)
        key = (self.world.backend.state / "keys" / "publisher.key").read_text().strip()
        return sign(encode(document), [SigningKey.parse(key)])

    def seen(self) -> tuple[object, ...]:
        """All that a refused document must not touch: process, configuration, what was run, and the record."""
        files = sorted((self.machine.prefix / "services").glob("*/etc/*"))
        configuration = {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in files}
        return (
            self.machine.pid("cache"),
            configuration,
            databases.journal(self.machine),
            {name: recorded["parameters"] for name, recorded in databases.record(self.machine).items()},
        )


def path_of(host: str) -> str:
    """Where a host's document lies in a published tree."""
    return f"hosts/{sha256(host.encode()).hexdigest()[:2]}/{host}"


def published(world: World, host: str) -> bytes:
    """The newest document that the backend put into the folder for this host."""
    return (world.published / path_of(host)).read_bytes()
