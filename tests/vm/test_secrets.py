"""Secrets on a real VM: given to the backend once, they reach the services as root under systemd, and nobody else."""

import asyncio
from collections.abc import Callable, Iterator

import pytest

from tests.end_to_end.test_secrets import Watch, forms, in_files, in_rows, new_canary
from tests.middleware import mariadb_archive
from tests.vm import shop
from tests.vm.host import Host
from tests.vm.waiting import until

NAMES = ("cache-password", "db-root", "db-app")
OWN = {
    "cache-password": "upper/opt/towline/services/cache/etc/password.conf",
    "db-root": "upper/opt/towline/services/db/etc/accounts.sql",
    "db-app": "upper/opt/towline/services/db/etc/accounts.sql",
}
"""The only file on the VM's disk that may hold each."""

_ASK_REDIS = r"""
LC_ALL=C; IFS= read -r word; exec 3<>/dev/tcp/127.0.0.1/6379
printf '*2\r\n$4\r\nAUTH\r\n$%d\r\n%s\r\n*1\r\n$4\r\nPING\r\n' "${#word}" "$word" >&3
IFS= read -r one <&3; IFS= read -r two <&3; printf '%s %s\n' "${one%$'\r'}" "${two%$'\r'}"
"""
_ASK_SQL = r"""
IFS= read -r word; cd /opt/towline/services/db
way=(--protocol=tcp --host=127.0.0.1 --port=3306)
[[ $1 != root ]] || way=(--socket="$PWD/run/mysql/mysql.sock")
exec current/bin/mariadb --defaults-file=<(printf '[client]\npassword="%s"\n' "$word") --user="$1" "${way[@]}" \
  --batch --skip-column-names -e "$2" 2>&1
"""


@pytest.fixture(scope="module")
def values() -> dict[str, str]:
    """What the secrets are."""
    return {name: new_canary() for name in NAMES}


@pytest.fixture(scope="module")
def host(new_host: Callable[..., Host], values: dict[str, str]) -> Iterator[Host]:
    """A host with a Valkey and a MariaDB whose passwords are secrets; nobody's arguments or environment had one."""
    made = new_host("vault", "bookworm")
    with Watch(*values.values()).on() as watch:
        for name, value in values.items():
            made.site.run("secret", "set", name, given=value)
        made.site.add_package(mariadb_archive("10.11.19"))
        made.declare(cache=f"{shop.cache('vault')}secrets: {{password: cache-password}}\n", db=shop.database("vault"))
        made.paste()
        made.until_converged()
        yield made
    assert (set(), True) == (watch.seen, watch.looks > 10)


def _redis(host: Host, password: str) -> str:
    return host.machine.run("bash", "-c", _ASK_REDIS, text=f"{password}\n").out.strip()


def _sql(host: Host, user: str, password: str, statement: str) -> str:
    asked = ("bash", "-c", _ASK_SQL, "bash", user, statement)
    return host.machine.run(*asked, text=f"{password}\n", accept=None).out.strip()


def everywhere(host: Host, value: str) -> set[str]:
    """Wherever the value is: on the VM's disk, in its memory's file systems, in its journal, at the backend."""
    machine, wanted = host.machine, "".join(f"{form.decode('latin-1')}\n" for form in forms(value)).encode("latin-1")
    found = in_files(machine.seen("store"), value)
    held = "shopt -s nullglob; grep -rlaF -D skip -f - /run /dev/shm || true"
    found |= set(machine.run("bash", "-c", held, text=wanted).out.split())
    said = machine.run("journalctl", "--no-pager", "--output=export").out.encode()
    found |= {"the journal"} if any(form in said for form in forms(value)) else set()
    found |= {f"backend: {name}" for name in in_files(host.site.folder, value)}
    rows = asyncio.run(in_rows(f"sqlite+aiosqlite:///{host.site.folder}/state/towline.db", value))
    return found | {f"rows of {name}" for name in rows}


def test_each_secret_reaches_its_service(host: Host, values: dict[str, str]) -> None:
    """The Valkey and both accounts of the MariaDB take the password that was set, and no other."""
    assert "+OK +PONG" == _redis(host, values["cache-password"])
    assert "-WRONGPASS" in _redis(host, "another")
    assert "42" == _sql(host, "app", values["db-app"], "SELECT 6 * 7")
    assert "42" == _sql(host, "root", values["db-root"], "SELECT 6 * 7")
    assert "Access denied" in _sql(host, "root", values["db-app"], "SELECT 6 * 7")
    assert "Access denied" in _sql(host, "app", values["db-root"], "SELECT 6 * 7")


@pytest.mark.parametrize("name", NAMES)
def test_a_canary_is_nowhere_else(host: Host, values: dict[str, str], name: str) -> None:
    """Each is in the file that its software reads, for root and the software's account alone, and nowhere else."""
    assert {OWN[name]} == everywhere(host, values[name])
    path = OWN[name].removeprefix("upper")
    mode, owner = host.machine.run("stat", "-c", "%a %U", path).out.split()
    assert mode[-1] == "0", mode
    assert owner in ("root", f"towline-{path.split('/')[4]}")
    assert 0 != host.machine.run("setpriv", "--reuid=65534", "--clear-groups", "cat", path, accept=None).status


def test_a_killed_service_comes_back_with_its_secret(host: Host, values: dict[str, str]) -> None:
    """kill -9: systemd starts it again, and it has its password, though no step runs that could hand it over."""
    before = host.services()
    host.machine.run("kill", "-KILL", before["cache"].partition(".")[0])
    until("it is back", lambda: host.services().get("cache", before["cache"]) != before["cache"])
    host.until_converged()
    until("it answers", lambda: _redis(host, values["cache-password"]) == "+OK +PONG")


def test_a_new_value_takes_the_place_of_the_old(host: Host, values: dict[str, str]) -> None:
    """Set again, the secret is published, and the service restarted with it; the old value is nowhere any more."""
    before, new = host.services(), new_canary()
    host.site.run("secret", "set", "cache-password", given=new)
    host.site.publish()
    until("the new password counts", lambda: _is_taken(host, new))
    host.until_converged()
    after = host.services()
    assert (True, before["db"]) == (before["cache"] != after["cache"], after["db"])
    assert "-WRONGPASS" in _redis(host, values["cache-password"])
    assert set() == everywhere(host, values["cache-password"])
    assert {OWN["cache-password"]} == everywhere(host, new)


def _is_taken(host: Host, password: str) -> bool:
    asked = host.machine.run("bash", "-c", _ASK_REDIS, text=f"{password}\n", accept=None)
    return asked.out.strip() == "+OK +PONG"


def test_after_a_reboot_services_have_their_secrets(host: Host, values: dict[str, str]) -> None:
    """Nothing of a secret is handed over at boot: the services have their files, and /run has none."""
    host.machine.reboot()
    until("a pass of this boot", lambda: int(host.alive().get("passes", "0")) > 0, seen=host.alive)
    host.until_converged()
    assert "42" == _sql(host, "app", values["db-app"], "SELECT 6 * 7")
    assert "" == host.machine.sh("find /run /dev/shm -name 'towline-secrets-*' -type f").out
