"""The doctor on the way to the servers: each thing that goes wrong there is told apart, on real servers."""

import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from puller.clock import SystemClock
from puller.settings import SourceSettings
from puller.sources.published_tree import document_path
from tests.core.publisher import HOST, note_of
from tests.puller_edge.certificates import Authority
from tests.puller_edge.examined import finding, findings, host
from tests.puller_edge.http_server import Exchange, serving
from tests.servers.certificates import PrivateCa
from tests.servers.forward_proxy import ForwardProxy
from tests.servers.git_https import GitOverHttps
from tests.servers.git_ssh import GitOverSsh
from tests.servers.process import free_port

PROBLEM = {"Content-Type": "application/problem+json"}


def tls(folder: Path, *names: str) -> tuple[PrivateCa, ssl.SSLContext]:
    authority = PrivateCa(folder / "tls")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(*names))
    return authority, context


def self_signed(folder: Path, *, starts: datetime, ends: datetime) -> tuple[Path, ssl.SSLContext]:
    """A certificate of 127.0.0.1 that is its own authority; the file of it."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(starts).not_valid_after(ends)
    address = x509.IPAddress(ip_address("127.0.0.1"))
    builder = builder.add_extension(x509.SubjectAlternativeName([address]), critical=False)
    pem, private = folder / "own.pem", folder / "own.key"
    pem.write_bytes(builder.sign(key, SHA256()).public_bytes(Encoding.PEM))
    private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return pem, context


def silent(exchange: Exchange) -> None:
    exchange.answer(404, b'{"detail": "no document"}', PROBLEM)


class TwoDaysAhead(SystemClock):
    def now(self) -> datetime:
        return super().now() + timedelta(days=2)


def test_a_name_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The resolver's 'no such name' is told as such, with the name."""

    def unknown(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    verdict, told = finding(host(tmp_path, url="https://backend.invalid"), "names")
    assert ("fault", "backend backend.invalid: nobody knows this name (Name or service not known)") == (verdict, told)


def test_no_name_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A resolver without an answer is another fault than a wrong name."""

    def unanswered(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unanswered)
    assert ("fault", "backend backend.invalid: no name server answers") == finding(
        host(tmp_path, url="https://backend.invalid"), "names"
    )


def test_nothing_listens(tmp_path: Path) -> None:
    """A refused connection is told with host and port, and what is above it is skipped."""
    port = free_port()
    paths = host(tmp_path, url=f"https://127.0.0.1:{port}")
    expected = f"backend 127.0.0.1:{port}: refused: nothing listens there, or a firewall rejects it"
    assert ("fault", expected) == finding(paths, "connections")
    assert ("skipped", f"https://127.0.0.1:{port} cannot be connected to") == finding(paths, "backend")


def test_a_certificate_of_a_private_authority(tmp_path: Path) -> None:
    """Trusted by ca_file it is well; without, its issuer is named."""
    authority, context = tls(tmp_path, "127.0.0.1")
    with serving(silent, context) as server:
        good = finding(host(tmp_path / "one", url=server.url, ca_file=authority.pem), "certificates")
        verdict, told = finding(host(tmp_path / "two", url=server.url), "certificates")
    assert "ok" == good[0], good
    assert ("fault", True) == (verdict, "issued by 'towline test authority', which is trusted neither" in told), told
    assert True is ("no `ca_file` is set" in told)


def test_a_certificate_that_ends_soon(tmp_path: Path, authority: Authority) -> None:
    """Two weeks before its end somebody is told."""
    with serving(silent, authority.server_tls()) as server:
        verdict, told = finding(host(tmp_path, url=server.url, ca_file=authority.ca_file), "certificates")
    assert ("warning", True) == (verdict, "which is soon" in told), told


@pytest.mark.parametrize(("days", "words"), [(-30, "it ended at"), (30, "it begins at")])
def test_a_certificate_out_of_its_time(tmp_path: Path, days: int, words: str) -> None:
    """Ended and not yet begun are told with both dates."""
    begins = datetime.now(UTC) + timedelta(days=days)
    pem, context = self_signed(tmp_path, starts=begins, ends=begins + timedelta(days=5))
    with serving(silent, context) as server:
        verdict, told = finding(host(tmp_path, url=server.url, ca_file=pem), "certificates")
    assert ("fault", True, True) == (verdict, words in told, "this host's clock says" in told), told


def test_a_certificate_of_another_name(tmp_path: Path) -> None:
    """The names that it is for are told."""
    authority, context = tls(tmp_path, "other.test")
    with serving(silent, context) as server:
        verdict, told = finding(host(tmp_path, url=server.url, ca_file=authority.pem), "certificates")
    assert ("fault", True) == (verdict, "it is for other.test, not for 127.0.0.1" in told), told


def test_a_certificate_that_signed_itself(tmp_path: Path) -> None:
    """Nobody else vouches for it."""
    now = datetime.now(UTC)
    _, context = self_signed(tmp_path, starts=now - timedelta(days=1), ends=now + timedelta(days=30))
    with serving(silent, context) as server:
        verdict, told = finding(host(tmp_path, url=server.url), "certificates")
    assert ("fault", True) == (verdict, "'127.0.0.1' signed itself" in told), told


def test_a_port_that_speaks_no_tls(tmp_path: Path) -> None:
    """https to an http port."""
    with serving(silent) as server:
        verdict, told = finding(host(tmp_path, url=server.url.replace("http:", "https:")), "certificates")
    assert ("fault", True) == (verdict, "speaks no TLS" in told), told


def test_a_ca_file_that_is_none(tmp_path: Path) -> None:
    """Rubbish in ca_file is told with its path."""
    (tmp_path / "ca.pem").write_text("rubbish")
    _, context = tls(tmp_path, "127.0.0.1")
    with serving(silent, context) as server:
        verdict, told = finding(host(tmp_path, url=server.url, ca_file=tmp_path / "ca.pem"), "certificates")
    assert ("fault", True) == (verdict, f"the CA file {tmp_path}/ca.pem holds no certificates" in told), told


def test_a_proxy_that_lets_us_through(tmp_path: Path, way_out: ForwardProxy) -> None:
    """Which proxy applies, and by which variable; its password is nowhere."""
    authority, context = tls(tmp_path, "127.0.0.1")
    environ = {"https_proxy": way_out.url}
    with serving(silent, context) as server:
        paths = host(tmp_path, url=server.url, ca_file=authority.pem)
        proxy, certificate = finding(paths, "proxies", environ), finding(paths, "certificates", environ)
    assert ("ok", True) == (proxy[0], "(https_proxy): the proxy lets us through" in proxy[1]), proxy
    assert ("ok", 2, False) == (certificate[0], len(way_out.tunnels), way_out.password in str(proxy)), certificate


@pytest.mark.parametrize(("user", "words"), [("", "wants a user and a password"), ("x:wrong@", "refuses our user")])
def test_a_proxy_that_refuses_us(tmp_path: Path, way_out: ForwardProxy, user: str, words: str) -> None:
    """407 without credentials, and with wrong ones."""
    paths = host(tmp_path, url="https://127.0.0.1:1")
    verdict, told = finding(paths, "proxies", {"https_proxy": f"http://{user}127.0.0.1:{way_out.port}"})
    assert ("fault", True, False) == (verdict, words in told, "wrong" in told), told


def test_a_proxy_that_is_not_there(tmp_path: Path) -> None:
    """It cannot be reached; the connection that fails is the one to the proxy."""
    port = free_port()
    paths, environ = host(tmp_path, url="https://backend.test"), {"https_proxy": f"http://127.0.0.1:{port}"}
    assert "cannot be reached" in finding(paths, "proxies", environ)[1]
    assert f"the proxy 127.0.0.1:{port}: refused" in finding(paths, "connections", environ)[1]


def test_no_proxy_is_obeyed(tmp_path: Path) -> None:
    """A host of no_proxy is reached without."""
    environ = {"https_proxy": "http://127.0.0.1:1", "no_proxy": ".test"}
    told = finding(host(tmp_path, url="https://backend.test"), "proxies", environ)
    assert ("ok", "https://backend.test:443 is reached without a proxy") == told


def test_the_proxy_of_the_unit_counts(tmp_path: Path, way_out: ForwardProxy, monkeypatch: pytest.MonkeyPatch) -> None:
    """What agentctl.sh stored for the agent holds for the doctor, whatever shell it is called from."""
    monkeypatch.setenv("https_proxy", "")  # so that it is taken back after this test
    monkeypatch.delenv("https_proxy")
    paths = host(tmp_path, url="https://127.0.0.1:1")
    paths.proxies.write_text(f'# proxies\nhttps_proxy="{way_out.url_without_credentials}"\n')
    assert "wants a user and a password" in finding(paths, "proxies")[1]


def test_a_clock_two_days_ahead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The skew is told in days, against the backend's Date."""
    monkeypatch.setattr("puller.doctor.case.SystemClock", TwoDaysAhead)
    with serving(silent) as server:
        verdict, told = finding(host(tmp_path, url=server.url), "clock")
    assert ("fault", "this host's clock is 2 days ahead of the backend's (127.0.0.1)") == (verdict, told)


def test_a_clock_is_compared_where_the_certificate_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong clock makes good certificates bad, so the date is asked for without trust, and that is said."""
    monkeypatch.setattr("puller.doctor.case.SystemClock", TwoDaysAhead)
    _, context = tls(tmp_path, "127.0.0.1")
    with serving(silent, context) as server:
        verdict, told = finding(host(tmp_path, url=server.url), "clock")
        asked = [(exchange.method, exchange.target, sorted(exchange.headers)) for exchange in server.asked]
    assert ("fault", True) == (verdict, "2 days ahead of that of 127.0.0.1, whose certificate was not" in told), told
    assert [("HEAD", "/", ["accept", "accept-encoding", "connection", "host", "user-agent"])] == asked


@pytest.mark.parametrize(
    ("status", "body", "verdict", "words"),
    [
        (401, b'{"detail": "unknown key"}', "fault", "does not accept this host's signature (401)"),
        (403, b"{}", "fault", "(403)"),
        (503, b"", "fault", "answers 503 Service Unavailable"),
        (404, b"<html>", "fault", "answers 404"),
        (404, b"{}", "warning", "has published nothing for it"),
        (302, b"", "fault", "redirects (302)"),
    ],
)
def test_what_the_backend_answers(tmp_path: Path, status: int, body: bytes, verdict: str, words: str) -> None:
    """Each answer to a signed poll means something else."""

    def respond(exchange: Exchange) -> None:
        exchange.answer(status, body, {"Content-Type": "text/html"} if b"<" in body else PROBLEM)

    with serving(respond) as server:
        found = finding(host(tmp_path, url=server.url), "backend")
    assert (verdict, True) == (found[0], words in found[1]), found


def test_a_backend_that_knows_us(tmp_path: Path) -> None:
    """A document under a signature that it takes."""
    with serving(lambda exchange: exchange.answer(200, note_of())) as server:
        verdict, told = finding(host(tmp_path, url=server.url), "backend")
    assert ("ok", True) == (verdict, f"takes this host's signature as {HOST}" in told), told


def test_a_git_server_whose_key_is_another(tmp_path: Path, git_ssh: GitOverSsh) -> None:
    """A swapped server is told by the puller's own access."""
    assert "known_hosts_file names" in finding(host_of(tmp_path, git_ssh, git_ssh.wrong_known_hosts), "source")[1]


def test_a_git_server_that_does_not_know_us(tmp_path: Path, git_ssh: GitOverSsh) -> None:
    """A key that is not let in is told."""
    paths = host_of(tmp_path, git_ssh, git_ssh.known_hosts, key=git_ssh.stranger_key)
    verdict, told = finding(paths, "source")
    assert ("fault", True) == (verdict, "refuses our credentials" in told), told


def test_a_branch_that_is_not_there(tmp_path: Path, git_ssh: GitOverSsh) -> None:
    """Reached, let in, and nothing published."""
    git_ssh.repository.commit({"readme": b"x"})
    verdict, told = finding(host_of(tmp_path, git_ssh, git_ssh.known_hosts), "source")
    assert ("fault", True) == (verdict, "it has no branch published" in told), told


def test_a_good_git_source_is_read_beside_the_agents_clone(tmp_path: Path, git_ssh: GitOverSsh) -> None:
    """The document is there, and nothing below the prefix was touched."""
    git_ssh.repository.commit({document_path(HOST): note_of()}, branch="published")
    paths = host_of(tmp_path, git_ssh, git_ssh.known_hosts)
    before = sorted(paths.prefix.rglob("*"))
    verdict, told = finding(paths, "source")
    assert ("ok", True) == (verdict, "published@" in told), told
    assert before == sorted(paths.prefix.rglob("*"))


def test_git_over_https_through_a_proxy(
    tmp_path: Path, git_https: GitOverHttps, way_out: ForwardProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The git host is a server of its own: its proxy and its certificate are checked too."""
    git_https.repository.commit({document_path(HOST): note_of()}, branch="published")
    (tmp_path / "password").write_text(git_https.password)
    source = SourceSettings(
        type="git",
        url=git_https.url_behind_proxy,
        username=git_https.user,
        password_file=tmp_path / "password",
        ca_file=git_https.ca_pem,
    )
    paths = host(tmp_path, source=source)
    monkeypatch.setenv("https_proxy", way_out.url)
    environ = {"https_proxy": way_out.url}
    told = [finding(paths, check, environ) for check in ("proxies", "certificates", "source")]
    assert ["ok", "ok", "ok"] == [verdict for verdict, _ in told], told


def test_a_frozen_source(tmp_path: Path) -> None:
    """A source that gives an older revision than the backend has is told, though it may be accepted."""
    now = datetime.now(UTC).replace(microsecond=0)
    times = {"issued_at": now, "expires_at": now + timedelta(days=90)}
    published = tmp_path / "published" / document_path(HOST)
    published.parent.mkdir(parents=True)
    published.write_bytes(note_of(revision=3, **times))
    with serving(lambda exchange: exchange.answer(200, note_of(revision=5, **times))) as server:
        source = SourceSettings(type="directory", path=tmp_path / "published")
        found = findings(host(tmp_path, url=server.url, source=source), "document")
    assert ["ok", "warning"] == [each.verdict for each in found], found
    assert "gives revision 3, the backend has 5" in found[1].found


def host_of(folder: Path, git: GitOverSsh, known_hosts: str, *, key: Path | None = None) -> Any:
    (folder / "known_hosts").write_text(known_hosts)
    source = SourceSettings(
        type="git", url=git.url, ssh_key_file=key or git.private_key, known_hosts_file=folder / "known_hosts"
    )
    return host(folder, source=source)
