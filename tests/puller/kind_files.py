"""A kind of one's own: the script that `towline kind new` writes, spoilt where a test wants it, and its program."""

from pathlib import Path

from api.kinds.skeleton import first_files
from puller.kinds.given import Given
from tests.middleware.archives import made_archive

KIND = "hello"
_PROGRAM = b"""#!/usr/bin/env python3
import signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if sys.argv[1:] == ["--version"]:
    sys.exit(print("hello 1.0.0"))
settings = {}


def read(*_):
    lines = open(sys.argv[1], encoding="utf-8").read().split("\\n")
    settings.update(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(settings["greeting"].encode())


read()
signal.signal(signal.SIGHUP, read)
ThreadingHTTPServer((settings["bind"], int(settings["port"])), Greeter).serve_forever()
"""

WIRES = """
MONITORING='
job      | string   | required | 1..60  | none | Name of the check
interval | duration | 1m       | 5s..1h | none | How often it is made
'
VERBS+=' monitor_trace 10'

# The folder of the site's own monitoring agent, which reads it again by itself.
check_file() { REPLY=$prefix/checks.d/$service.conf; }

monitor_trace() {
  ((${#MONITOR[@]})) || { take_back && return 0; }
  check_file
  mkdir -p "${REPLY%/*}"
  put "$REPLY" < <(printf '%s\\n' "job = ${MONITOR[job]}" "interval = ${MONITOR[interval]}" "port = ${PARAM[port]}")
}

take_back() { check_file && remove_file "$REPLY"; }
"""
"""What makes that kind tell somebody else's monitoring, here below the prefix, that its service is there."""


def script(folder: Path, *, replaced: tuple[str, str] = ("", ""), added: str = "") -> Path:
    """The script in that folder, with one text replaced and something added before its last line."""
    text = first_files(KIND)[f"scripts/{KIND}ctl.sh"]
    assert replaced[0] in text
    text = text.replace(*replaced) if replaced[0] else text
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{KIND}ctl.sh"
    path.write_text(text.replace('\nrun_verb "$@"', f'\n{added}\nrun_verb "$@"'))
    return path


def given(folder: Path, *, replaced: tuple[str, str] = ("", ""), added: str = "") -> Given:
    """That script, with all that a service of its kind needs."""
    package = made_archive(KIND, "1.0.0", {f"bin/{KIND}": (_PROGRAM, 0o755)}, folder)
    path = script(folder / "own", replaced=replaced, added=added)
    return Given(file=path, version="1.0.0", packages={"server": package.path}, parameters={"start_timeout": "10s"})
