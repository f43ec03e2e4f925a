"""nginx."""

from tests.middleware import debian_nginx_archive, nginx_archive
from tests.scripts.calling import Service
from tests.scripts.kinds.case import Case, Real, Software
from tests.scripts.kinds.http import body_of


def _page(service: Service) -> str:
    return (service.root / "etc/html/index.html").read_bytes().decode()


def _extra(service: Service) -> str:
    text = (service.root / "etc/nginx.conf").read_bytes().decode()
    return text.partition("# extra:\n")[2].rpartition("\n  }\n}\n")[0]


CASE = Case(
    version="1.31.3",
    packages=lambda: {"server": nginx_archive()},
    parameters=lambda port: {"port": str(port), "bind": "127.0.0.1", "index_html": "hello\n"},
    bad=(
        ("port", "http"),
        ("bind", "localhost;"),
        ("server_name", 'a"; return 200'),
        ("server_name", "a\nb"),
        ("upstream", "http://x"),
        ("health_path", "status"),
        ("worker_processes", "0"),
        ("gzip", "on"),
        ("max_body_size", "big"),
        ("extra", "no_such_directive on;"),
        ("colour", "blue"),
    ),
    arrives={"index_html": _page, "extra": _extra},
    real=Real(
        software=(
            Software(name="nginx", version="1.18.0", packages=lambda: {"server": debian_nginx_archive("1.18.0")}),
            Software(name="nginx", version="1.22.1", packages=lambda: {"server": debian_nginx_archive("1.22.1")}),
            Software(name="nginx", version="1.31.3", packages=lambda: {"server": nginx_archive()}),
        ),
        probe=lambda service: f"GET /: {body_of(service, '/').strip()}",
        reloaded={"index_html": "hello again\n", "gzip": "false"},
        cost_s=5,
    ),
)
