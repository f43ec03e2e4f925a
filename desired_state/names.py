"""The grammar of every name, once. Decoding a struct that uses these types checks them.

Names become folders, unit names, branch paths and environment variables, so each grammar is as narrow as its
narrowest use: no name can traverse a path, start an option, or end a line.
"""

import re
from datetime import datetime
from hashlib import sha256
from typing import Annotated

from msgspec import Meta

HOST_PATTERN = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*$(?!\n)"
ADDRESS_PATTERN = rf"({HOST_PATTERN})|(^[0-9a-f]{{0,4}}:[0-9a-f:]{{1,34}}[0-9.]{{0,15}}$(?!\n))"
SERVICE_PATTERN = r"^[a-z]([a-z0-9-]{0,46}[a-z0-9])?$(?!\n)"
KIND_PATTERN = r"^[a-z][a-z0-9_]{0,31}$(?!\n)"
WORD_PATTERN = r"^[a-z][a-z0-9_]{0,47}$(?!\n)"
VERSION_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+~-]{0,63}$(?!\n)"
PACKAGE_PATTERN = r"^[a-z0-9][a-z0-9._+-]{0,95}$(?!\n)"
FILE_PATTERN = r"^[A-Za-z0-9_][A-Za-z0-9._+~-]{0,199}$(?!\n)"
LABEL_PATTERN = r"^[a-z0-9]([a-zA-Z0-9._/-]{0,61}[a-zA-Z0-9])?$(?!\n)"
LABEL_VALUE_PATTERN = r"^([a-zA-Z0-9]([a-zA-Z0-9._-]{0,61}[a-zA-Z0-9])?)?$(?!\n)"
SECRET_PATTERN = r"^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$(?!\n)"  # noqa: S105 - a grammar
DIGEST_PATTERN = r"^sha256:[0-9a-f]{64}$(?!\n)"

AGENT_KIND = "agent"
"""The kind of the puller itself, driven by `agentctl.sh`: its restart ends the process that asked for it."""

HostName = Annotated[str, Meta(pattern=HOST_PATTERN, max_length=128)]
"""A host, as DNS would write it: lower case, dots between labels. RFC 1123."""
ServiceName = Annotated[str, Meta(pattern=SERVICE_PATTERN, max_length=48)]
"""A service; its name is its instance: two Redis on one host are two services."""
Kind = Annotated[str, Meta(pattern=KIND_PATTERN, max_length=32)]
"""Which script drives a service: `<kind>ctl.sh`."""
ParameterName = Annotated[str, Meta(pattern=WORD_PATTERN, max_length=48)]
Role = Annotated[str, Meta(pattern=WORD_PATTERN, max_length=48)]
"""What a package is for in a service, e.g. `server`, `jdk`."""
Version = Annotated[str, Meta(pattern=VERSION_PATTERN, max_length=64)]
PackageName = Annotated[str, Meta(pattern=PACKAGE_PATTERN, max_length=96)]
FileName = Annotated[str, Meta(pattern=FILE_PATTERN, max_length=200)]
Address = Annotated[str, Meta(pattern=ADDRESS_PATTERN, max_length=128)]
"""Where a host is reached: a name, or an IPv4 or IPv6 address without brackets."""
LabelKey = Annotated[str, Meta(pattern=LABEL_PATTERN, max_length=63)]
LabelValue = Annotated[str, Meta(pattern=LABEL_VALUE_PATTERN, max_length=63)]
SecretName = Annotated[str, Meta(pattern=SECRET_PATTERN, max_length=64)]
"""A secret, as the catalogue refers to it; its value stands nowhere in clear."""
SecretVersion = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""Counts how often a secret was set; it only ever grows, also when the secret was removed in between."""
Digest = Annotated[str, Meta(pattern=DIGEST_PATTERN, max_length=71)]
"""`sha256:` and 64 hex digits: the hash of exact bytes."""
Revision = Annotated[int, Meta(ge=1, le=2**53 - 1)]
"""The number of a host's document; it only ever grows. Bounded so that every JSON reader keeps it exact."""
Epoch = Annotated[int, Meta(ge=1, le=2**31 - 1)]
"""The era of a set of publisher keys; a rotation raises it, and it outweighs every revision."""
Timestamp = Annotated[datetime, Meta(tz=True)]
"""A moment with its zone; we write UTC, whole seconds, as RFC 3339 with Z."""
Text = Annotated[str, Meta(max_length=2000)]
"""A sentence for people."""


def digest_of(data: bytes) -> str:
    """The digest of exact bytes, as documents and answers write it."""
    return f"sha256:{sha256(data).hexdigest()}"


def is_name(pattern: str, text: str) -> bool:
    """Whether text is wholly of that grammar (`$(?!\\n)`: in Python `$` alone lets a trailing newline pass)."""
    return re.search(pattern, text) is not None
