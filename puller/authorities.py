"""Where this host keeps the certificates of the authorities that it trusts.

The agent brings an OpenSSL of its own, which looks where Debian keeps them; other distributions keep them elsewhere.
"""

import re
import ssl
from collections.abc import Iterable
from pathlib import Path

PLACES = (
    Path("/etc/ssl/certs/ca-certificates.crt"),  # Debian, Ubuntu, Arch, Alpine with ca-certificates
    Path("/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem"),  # RHEL and its family, Fedora
    Path("/etc/pki/tls/certs/ca-bundle.crt"),  # the same, older
    Path("/var/lib/ca-certificates/ca-bundle.pem"),  # SUSE
    Path("/etc/ssl/ca-bundle.pem"),  # the same, older
    Path("/etc/ssl/cert.pem"),  # Alpine
)

_HASHED = re.compile(r"[0-9a-f]{8}\.\d")


def openssl_has_authorities() -> bool:
    """Whether anything is where OpenSSL looks by itself, or where `SSL_CERT_FILE` and `SSL_CERT_DIR` say."""
    places = ssl.get_default_verify_paths()
    if places.cafile:
        return True
    try:
        return any(_HASHED.fullmatch(path.name) for path in Path(places.capath or "/nowhere").iterdir())
    except OSError:
        return False


def system_ca_file(places: Iterable[Path] = PLACES) -> Path | None:
    """The file with all of them, where a distribution has it; None where there is none."""
    return next((place for place in places if place.is_file()), None)


def none_here(places: Iterable[Path] = PLACES) -> str:
    """For a message about a certificate that is not trusted: that this host trusts nobody, if so; else nothing."""
    if openssl_has_authorities() or system_ca_file(places) is not None:
        return ""
    return "; this host has no CA certificates at all: install the package ca-certificates"
