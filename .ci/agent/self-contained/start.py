"""The start of the self-contained agent: what is put right before the puller is imported."""

import _ctypes
import contextlib
import os
from pathlib import Path


def take_back_locale() -> None:
    """The wrapper's `LC_ALL=C` was for the start of this process alone: children get what was given."""
    given = os.environ.pop("TOWLINE_GIVEN_LC_ALL", "")
    if given:
        os.environ["LC_ALL"] = given
    else:
        os.environ.pop("LC_ALL", None)


def look_names_up_alone() -> None:
    """Names by /etc/hosts, DNS and /etc/passwd alone, whatever the host's nsswitch.conf says.

    Its other words (resolve, sss, systemd, ldap, ...) name libraries of the host, made for the host's libc: loaded
    into ours they may crash it. `__nss_configure_lookup` (nss.h) is glibc's own way to say so.
    """
    configure = _ctypes.dlsym(_ctypes.dlopen("", 0), "__nss_configure_lookup")
    by_files = ("passwd", "group", "shadow", "initgroups", "services", "protocols", "networks", "ethers", "netgroup")
    for database, sources in (("hosts", b"files dns"), *((name, b"files") for name in by_files)):
        _ctypes.call_function(configure, (database.encode(), sources))


def name_process() -> None:
    """Else `ps` and `top` show the name of the loader."""
    with contextlib.suppress(OSError):
        Path("/proc/self/comm").write_text("towline-puller")


if __name__ == "__main__":
    take_back_locale()
    look_names_up_alone()
    name_process()
    from puller.cli import main

    main(prog_name="towline-puller")
