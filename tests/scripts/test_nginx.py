"""nginxctl.sh against real nginx."""

import os
import signal
import socket
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

from tests.middleware import nginx_archive, site_archive
from tests.scripts.calling import Service, eventually
from tests.servers.process import free_port


def nginx(folder: Path, name: str = "web", **parameters: str) -> Service:
    return Service(
        kind="nginx",
        name=name,
        folder=folder,
        version="1.31.3",
        packages={"server": nginx_archive()},
        parameters={"port": str(free_port()), "bind": "127.0.0.1", **parameters},
    )


def get(service: Service, path: str = "/") -> tuple[int, str]:
    try:
        with urlopen(f"http://127.0.0.1:{service.parameters['port']}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        return error.code, ""


def test_a_reload_keeps_the_master(folder: Path) -> None:
    """New page, new port, more workers: the same process, and the port is the new one when reload returns."""
    service = nginx(folder, index_html="old")
    service.do("install", "configure", "start")
    before = service.status().identity
    assert (200, "old") == get(service)
    service.parameters |= {"index_html": "new ☃", "port": str(free_port()), "worker_processes": "2"}
    service.do("configure")
    assert "degraded" == service.state_now()
    assert "1" == service.do("reload").changed
    assert (200, "new ☃") == get(service)
    assert (before, "running") == (service.status().identity, service.state_now())
    assert "0" == service.do("reload").changed


def test_what_nginx_refuses_never_replaces_what_works(folder: Path) -> None:
    """The document gets nginx's own words; configuration and process stay as they are."""
    service = nginx(folder)
    service.do("install", "configure", "start")
    before = service.status()
    service.parameters["extra"] = "return 200 'unterminated;"
    said = service.call("configure")
    assert (6, True) == (said.code, "nginx refuses the configuration" in said.reason)
    assert before.out == service.status().out


def test_a_reload_that_cannot_take_hold_fails(folder: Path) -> None:
    """A port that somebody else has: nginx keeps what it had, and reload says so instead of success."""
    other = nginx(folder, "other")
    other.do("install", "configure", "start")
    service = nginx(folder)
    service.do("install", "configure", "start")
    service.parameters["port"] = other.parameters["port"]
    service.do("configure")
    said = service.call("reload")
    assert (1, True) == (said.code, "nginx keeps its old configuration" in said.reason), said.reason
    assert "degraded" == service.state_now()


def test_workers_without_a_master_do_not_hold_the_port(folder: Path) -> None:
    """kill -9 of the master leaves workers that serve on; start ends them first."""
    service = nginx(folder, worker_processes="2")
    service.do("install", "configure", "start")
    os.kill(service.process(), signal.SIGKILL)
    assert eventually(60, lambda: service.state_now() == "stopped")
    service.do("start")
    assert (200, "It works.") == get(service)


def test_a_content_package_is_served_and_replaced(folder: Path) -> None:
    """The files of the site come from a package of their own."""
    service = nginx(folder)
    service.packages["content"] = site_archive("1.0.0")
    service.do("install", "configure", "start")
    assert "version 1.0.0" in get(service)[1]
    service.packages["content"] = site_archive("1.1.0")
    service.do("install", "configure", "reload")
    assert "version 1.1.0" in get(service)[1]


def test_a_proxy_hands_on(folder: Path) -> None:
    """With an upstream, requests go there; health is the answer that comes back."""
    behind = nginx(folder, "behind", index_html="from behind")
    behind.do("install", "configure", "start")
    service = nginx(folder, upstream=f"127.0.0.1:{behind.parameters['port']}")
    service.do("install", "configure", "start")
    assert (200, "from behind") == get(service)
    behind.do("stop")
    with socket.socket() as nobody:
        # Bound and not listening: whoever connects is refused, and no other test gets this port meanwhile.
        nobody.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        nobody.bind(("127.0.0.1", int(behind.parameters["port"])))
        said = service.status()
    assert (190, True) == (said.code, "answers HTTP 502" in said.reason), said.reason


def test_extra_directives(folder: Path) -> None:
    """They stand in the server block."""
    service = nginx(folder, extra="location = /ping { return 200 'pong'; }")
    service.do("install", "configure", "start")
    assert (200, "pong") == get(service, "/ping")
    assert 404 == get(service, "/nginx.conf")[0]


def test_an_upstream_that_nobody_knows_yet_may_be_known_later(folder: Path) -> None:
    """A name that does not resolve is no mistake of the document: exit 1, to be tried again; nothing is left behind."""
    service = nginx(folder, upstream="no-such-host.invalid:80")
    service.do("install")
    said = service.call("configure")
    assert (1, True) == (said.code, "host not found" in said.reason), said.reason
    assert not (service.root / "run" / "trial").exists()
    assert [] == list((service.root / "etc").glob("nginx.conf*"))
