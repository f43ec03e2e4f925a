"""agentctl.sh install, from the pasted command to the first pass, with a puller that is a stand-in."""

from pathlib import Path

from tests.agent.parts import run
from tests.agent.prefix import archive
from tests.agent.scratch_host import AGENTCTL, Host, paste
from tests.agent.tokens import SECRET
from tests.puller_edge.certificates import Authority
from tests.puller_edge.http_server import serving


def test_pasted_command(host: Host) -> None:
    """One paste: the agent runs, made its first pass, and its outcome is printed, with the time that it took."""
    host.shop.keep(AGENTCTL)
    told = paste(host, host.offer("1.0"))
    assert 0 == told.code, told.err
    assert ("1.0", "1.0", "1.0", ["1.0"]) == (host.release("current"), host.release("good"), host.runs(), host.starts())
    assert "first pass completed: Ready=True (Converged): all is as declared" in told.out
    assert "The agent 1.0 runs on this host as vm1 (none); this took " in told.out


def test_token_is_left_nowhere(host: Host) -> None:
    """Not in a file, nor in the arguments or the environment of what was started."""
    host.shop.keep(AGENTCTL)
    line = host.offer("1.0")
    told = paste(host, line)
    assert 0 == told.code, told.err
    canaries = (SECRET, line[80:140])
    texts = {str(path): path.read_bytes().decode("latin-1") for path in host.folder.rglob("*") if path.is_file()}
    pid = (host.prefix / "state/lock").read_text().strip()
    texts |= {name: Path(f"/proc/{pid}/{name}").read_text() for name in ("environ", "cmdline")}
    texts["said"] = told.all
    assert "--token-file -" in texts[f"{host.prefix}/enrolment"]
    assert [] == [name for name, text in texts.items() if any(canary in text for canary in canaries)]


def test_private_authority_is_kept(host: Host) -> None:
    """--ca-file goes to the puller as a copy below the prefix: the one given may be on a stick."""
    ours = Authority(host.folder / "ca")
    with serving(host.shop.answer, ours.server_tls()) as server:
        host.shop.url = server.url
        told = host.install(host.offer("1.0"), "--ca-file", str(ours.ca_file))
    assert 0 == told.code, told.err
    assert ours.ca_file.read_bytes() == (host.prefix / "etc/ca.pem").read_bytes()
    assert f"--ca-file {host.prefix}/etc/ca.pem" in (host.prefix / "enrolment").read_text()


def test_proxies_are_kept_for_the_unit(host: Host) -> None:
    """With their password, for the owner's eyes; a later call from a shell without them takes them from there."""
    with serving(host.shop.answer) as proxy:
        address = proxy.url.replace("://", "://user:pass-word@")
        host.more = {"http_proxy": address, "no_proxy": "localhost"}
        line = host.invite(archive(host.folder, "1.0"), url="http://backend.invalid")
        told = host.install(line)
        kept = host.prefix / "etc/proxy.env"
        assert (0, False) == (told.code, "pass-word" in told.all), told.err
        assert (f"http_proxy={address}\nno_proxy=localhost\n", 0o600) == (kept.read_text(), kept.stat().st_mode & 0o777)
        host.more = {}
        assert 0 == host.install(line).code


def test_folder_instead_of_the_network(host: Host) -> None:
    """Air-gapped: the archive lies beside the script, the backend gives nothing out."""
    line = host.offer("1.0")
    host.shop.files.clear()
    told = host.install(line, "--from", str(host.folder))
    assert (0, "1.0") == (told.code, host.runs()), told.err


def test_help_names_every_option(host: Host) -> None:
    """What the script reads, it tells."""
    told = run(["bash", str(host.script), "help"], host.folder)
    options = ("--token-file", "--from", "--ca-file", "--method", "--force", "--git-url", "--directory", "--prefix")
    assert (0, []) == (told.code, [option for option in options if option not in told.out])
