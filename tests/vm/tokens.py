"""Join tokens as the tests need them: the one in a pasted command, and the same with other words."""

import base64
import json
import re
from pathlib import Path

from tests.vm import shop

_START = "towline-join-1."


def altered(pasted: str, **fields: object) -> str:
    """The pasted command, with these fields of its token changed. What a token says is signed by nobody: who can alter
    it can have a host install what he likes, and gets no further with the backend."""
    token = token_of(pasted)
    body = token.removeprefix(_START)
    told = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))) | fields
    packed = json.dumps(told, separators=(",", ":")).encode()
    return pasted.replace(token, _START + base64.urlsafe_b64encode(packed).decode().rstrip("="))


def token_of(pasted: str) -> str:
    """The token in a pasted command."""
    return next(line for line in pasted.splitlines() if line.startswith(_START))


def naming(pasted: str, archive: Path, version: str) -> str:
    """The pasted command, with a token that names this archive."""
    digest = shop.agent_package(archive).digest
    return altered(pasted, agent_digest=digest, agent_size=archive.stat().st_size, agent_version=version)


def with_options(pasted: str, *options: str) -> str:
    """The pasted command, with more options for agentctl.sh install."""
    return pasted.replace(" install ", f" install {' '.join(options)} ")


def script_of(pasted: str) -> str:
    """The digest of the agentctl.sh that the command fetches."""
    found = re.search(r"/v1/agent/sha256/([0-9a-f]{64})", pasted)
    if found is None:
        raise ValueError("the command fetches no agentctl.sh from the backend")
    return found[1]
