"""The command that an operator pastes on a fresh host. Pure text; every value in it is one word of the shell.

The join token goes in by a here-document: it stands in no list of processes and in no history of arguments. Nothing
that was fetched is run before its digest was checked.
"""

import re
from shlex import quote

from msgspec import Struct

from desired_state.catalogue import Problem

_IN_URL = r"[A-Za-z0-9._~:@!$&'()*+,;=%\[\]-]"
"""What RFC 3986 lets stand in one. A quote or a backslash would also have to be escaped in the token's JSON."""
_URL = re.compile(rf"https?://{_IN_URL}+(/{_IN_URL}*)*\Z")
_END = "TOWLINE"


class Way(Struct, frozen=True, kw_only=True):
    """How the files of the agent reach the host, and where they go; empty: as it is without a word."""

    mirror: str = ""
    """A URL that has them as `<mirror>/sha256/<hex>`."""
    ca_file: str = ""
    """A file on the host with the CAs to trust, in PEM."""
    prefix: str = ""
    """The folder on the host below which towline keeps everything."""


def way_problems(way: Way, backend_url: str) -> tuple[Problem, ...]:
    """What cannot stand in a command that somebody pastes into a terminal."""
    found = [_path_problem("/ca_file", way.ca_file), _path_problem("/prefix", way.prefix)]
    found.append(_url_problem("/mirror", way.mirror) if way.mirror else None)
    found.append(_url_problem("", backend_url, "[server] base_url"))
    return tuple(problem for problem in found if problem is not None)


def pasted(token: str, *, backend_url: str, agentctl_hex: str, way: Way, wheels: bool = False) -> str:
    """Fetch `agentctl.sh`, check it, install the agent, and join.

    `wheels`: the archive is the one of wheels; a host without a Python for it says so before it fetches anything.
    """
    url = quote(f"{way.mirror.rstrip('/') or f'{backend_url}/v1/agent'}/sha256/{agentctl_hex}")
    curl = f"curl -gfsSL --connect-timeout 20 --retry 3{_option(' --cacert', way.ca_file)}"
    options = _options(way, with_mirror=True, wheels=wheels)
    wget = f"wget -nv -T 20 -t 4{_option(' --ca-certificate', way.ca_file)}"
    lines = (
        """(umask 077; d=$(mktemp -d) && trap 'rm -rf -- "$d"' EXIT && cat >"$d/token" &&""",
        # One of them alone: what it says of its failure is the reason, and not that the other one is missing.
        f""" if command -v curl >/dev/null; then {curl} -o "$d/agentctl.sh" {url}""",
        f""" else {wget} -O "$d/agentctl.sh" {url}; fi &&""",
        f""" printf '%s  %s\\n' {agentctl_hex} "$d/agentctl.sh" | sha256sum --check --quiet - &&""",
        f""" bash "$d/agentctl.sh" install --token-file "$d/token"{options}) <<'{_END}'""",
    )
    return "\n".join([*lines, token, _END])


def by_hand(token: str, *, way: Way, wheels: bool = False) -> str:
    """The same in a folder to which somebody carried `agentctl.sh` and the archive."""
    return "\n".join(
        [
            f"""bash agentctl.sh install --from "$PWD"{_options(way, with_mirror=False, wheels=wheels)} <<'{_END}'""",
            token,
            _END,
        ]
    )


def enrolling(token: str) -> str:
    """Join, where the agent is on the host already."""
    return "\n".join([f"towline-puller enroll <<'{_END}'", token, _END])


def _options(way: Way, *, with_mirror: bool, wheels: bool) -> str:
    mirror = _option(" --from", way.mirror.rstrip("/")) if with_mirror else ""
    method = _option(" --method", "wheels" if wheels else "")
    return f"{mirror}{_option(' --ca-file', way.ca_file)}{_option(' --prefix', way.prefix)}{method}"


def _option(name: str, value: str) -> str:
    return f"{name} {quote(value)}" if value else ""


def _path_problem(pointer: str, path: str) -> Problem | None:
    """A path must be whole, and printable: control characters would be typed into the terminal."""
    if not path or (path.startswith("/") and path.isprintable() and len(path) <= 1000):
        return None
    return Problem(pointer=pointer, message="must be an absolute path on the host, without control characters")


def _url_problem(pointer: str, url: str, name: str = "") -> Problem | None:
    if _URL.match(url) and len(url) <= 1000:
        return None
    message = "must be an http or https URL of the characters that URLs have, without a query"
    return Problem(pointer=pointer, message=f"{name} {message}".strip())
