"""The command `towline`: what it prints, and how it ends."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import structlog
from click.testing import CliRunner, Result

import api.backend
from api.cli import main
from api.logs import configure_logs
from desired_state.enrolment import JoinToken
from desired_state.note import VerifierKey
from tests.api.agents import ARCHIVE, WITH_AGENT, package


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings by environment, in a scratch folder."""
    monkeypatch.setenv("TOWLINE_STATE_FOLDER", str(tmp_path / "state"))
    return tmp_path


def _towline(*arguments: str) -> Result:
    return CliRunner().invoke(main, arguments, catch_exceptions=False)


def test_trust_show_prints_verifier_keys(environment: Path) -> None:
    """In the signed-note form, so that other implementations can open a document."""
    assert _towline("trust", "init").exit_code == 0
    shown = _towline("trust", "show")
    assert (shown.exit_code, VerifierKey.parse(shown.stdout.strip()).name) == (0, "127.0.0.1/towline-publisher")


def test_trust_show_before_init_says_what_to_do(environment: Path) -> None:
    """Exit code 78: settings."""
    shown = _towline("trust", "show")
    assert (shown.exit_code, "towline trust init" in shown.stderr) == (78, True)


def test_a_join_token_is_printed_alone(environment: Path) -> None:
    """Standard output is the token; what people read goes to standard error."""
    done = _towline("host", "invite", "alpha")
    assert JoinToken.decode(done.stdout).host == "alpha"
    assert "the catalogue has no host alpha yet" in done.stderr


def test_the_command_to_paste_is_printed_alone(environment: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an agent known, standard output is what to paste; `--token-only` prints the token that names the agent."""
    monkeypatch.setattr(api.backend, "read_scripts", lambda _folder: WITH_AGENT)
    archive = environment / package().file
    archive.write_bytes(ARCHIVE)
    named = ("--name", "towline-agent", "--version", "0.4.0")
    assert _towline("package", "add", str(archive), *named, "--unchecked").exit_code == 0
    done = _towline("host", "invite", "alpha", "--prefix", "/srv/it's", "--mirror", "https://mirror.example/t/")
    assert done.stdout.startswith("(umask 077; ")
    assert "--from https://mirror.example/t --prefix '/srv/it'\"'\"'s') <<'TOWLINE'\ntowline-join-1." in done.stdout
    assert f"agent 0.4.0: {archive.name}, {len(ARCHIVE)} bytes" in done.stderr
    token = JoinToken.decode(_towline("host", "invite", "alpha", "--token-only").stdout)
    assert ("0.4.0", package().digest) == (token.agent_version, token.agent_digest)
    wrong = _towline("host", "invite", "alpha", "--ca-file", "ca.pem")
    assert (1, True) == (wrong.exit_code, "/ca_file: must be an absolute path" in wrong.stderr)


def test_a_bad_host_name_is_refused_with_its_field(environment: Path) -> None:
    """Exit code 1, one line for each problem."""
    done = _towline("host", "invite", "Bad_Name")
    assert (done.exit_code, "/host: 'Bad_Name' is not a host name" in done.stderr) == (1, True)


def test_a_token_is_made_listed_and_revoked(environment: Path) -> None:
    """The secret is printed once, the list never has it."""
    secret = _towline("token", "create", "ci", "--role", "viewer", "--scope", "metrics:read").stdout.strip()
    token_id, name, role, scope = _towline("token", "list").stdout.strip().split("\t")
    assert (name, role, scope, secret[:8]) == ("ci", "viewer", "metrics:read", "towline-")
    assert _towline("token", "revoke", token_id).exit_code == 0
    assert "revoked" in _towline("token", "list").stdout
    assert _towline("token", "revoke", "nonsense").exit_code == 1


def test_a_link_signs_in_at_the_page(environment: Path) -> None:
    """It is printed instead of the token's secret."""
    assert _towline("token", "create", "--link").stdout.startswith("http://127.0.0.1:8470/signin?token=")


def test_import_tells_every_problem_as_editors_read_them(environment: Path) -> None:
    """`file:line: field: message`, and exit code 1."""
    folder = environment / "tree"
    (folder / "catalogue").mkdir(parents=True)
    (folder / "catalogue" / "a.yaml").write_text("host: h1\ncolour: red\n")
    done = _towline("import", "--folder", str(folder))
    assert (done.exit_code, done.stdout.split(";")[0]) == (1, "refused")
    assert done.stderr.startswith("catalogue/a.yaml:2: /colour: there is no such field")
    (folder / "catalogue" / "a.yaml").write_text("host: h1\n")
    assert _towline("import", "--folder", str(folder)).stdout.startswith("imported sha256:")
    assert _towline("host", "list").stdout == "h1\tdeclared\tnot enrolled\n"


def test_the_log_is_checked(environment: Path) -> None:
    """`log verify` follows the chain."""
    _towline("trust", "init")
    assert _towline("log", "verify").stdout == "the chain holds\n"
    assert "trust.created" in _towline("log", "show").stdout


def test_wrong_settings_end_with_78(environment: Path) -> None:
    """And name the file, the line and the key."""
    file = environment / "towline.toml"
    file.write_text("[server]\nport = 'x'\n")
    done = _towline("--config", str(file), "migrate")
    assert (done.exit_code, f"{file}:2: server.port" in done.stderr) == (78, True)


def test_every_module_is_a_command_with_a_summary() -> None:
    """Help lists each file beside the group, by its first line."""
    help_text = _towline("--help").stdout
    folder = Path(sys.modules["api.cli"].__file__ or "").parent
    for file in folder.glob("[a-z]*.py"):
        summary = (ast.get_docstring(ast.parse(file.read_text())) or "").splitlines()[0]
        assert file.stem.rstrip("_") in help_text
        assert summary[:20] in help_text


def test_help_does_not_load_the_house() -> None:
    """No framework, no database is imported for a line of help."""
    code = "import sys; from api.cli import main; main(['--help'], standalone_mode=False); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    loaded = ast.literal_eval(done.stdout.splitlines()[-1])
    assert {"litestar", "sqlalchemy", "pygit2", "granian"} & set(loaded) == set()


def test_logs_hold_no_local_variables(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback in the log tells where, never what: local variables hold secrets."""
    configure_logs()
    secret = "-".join(["s3c", "ret"])
    try:
        _fail(secret)
    except ValueError as error:
        structlog.get_logger().exception("failed", exc_info=error)
    finally:
        structlog.reset_defaults()
    logged = capsys.readouterr().err
    assert ("no good: 7" in logged, secret in logged) == (True, False)


def _fail(secret: str) -> None:
    raise ValueError(f"no good: {len(secret)}")
