"""The first import of pygit2, which fails on a host whose certificates are not where OpenSSL looks."""

import os
import ssl
from pathlib import Path


def import_pygit2() -> None:
    """To be called before any module is loaded that imports it.

    pygit2 hands OpenSSL's default places to libgit2 when it is imported, and raises GitError where neither exists: on
    RHEL and SUSE under an OpenSSL that was made for Debian. A folder without certificates is a place too, and adds
    nobody to those whom we trust; the real ones are added before each fetch.
    """
    places = ssl.get_default_verify_paths()
    if places.cafile or places.capath:
        return
    given = os.environ.get("SSL_CERT_DIR")
    os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)
    try:
        import pygit2  # noqa: F401, PLC0415 - the point of this function
    finally:
        if given is None:
            del os.environ["SSL_CERT_DIR"]
        else:
            os.environ["SSL_CERT_DIR"] = given
