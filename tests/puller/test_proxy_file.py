"""The proxies that are stored for the agent hold for commands by hand, and never against what the shell says."""

from pathlib import Path

import pytest

from puller.proxy_file import of_the_agent, read_proxy_file, stand_in

TEXT = """\
# of the install
https_proxy="http://u:p@proxy.test:3128"
export no_proxy='.test,10.0.0.1'
HTTP_PROXY=http://proxy.test:3128
PATH=/evil
; https_proxy=commented
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "proxy.env"
    path.write_text(TEXT)
    return path


def test_it_is_read_as_systemd_reads_it(file: Path) -> None:
    """Quotes go, comments are none, and nothing but proxies is taken over."""
    expected = {
        "https_proxy": "http://u:p@proxy.test:3128",
        "no_proxy": ".test,10.0.0.1",
        "HTTP_PROXY": "http://proxy.test:3128",
    }
    assert expected == read_proxy_file(file)


def test_it_stands_in_where_the_shell_says_nothing(file: Path) -> None:
    """A command by hand goes the agent's way."""
    environ = {"PATH": "/bin"}
    stand_in(file, environ)
    assert ("/bin", "http://u:p@proxy.test:3128") == (environ["PATH"], environ["https_proxy"])


def test_the_shell_outweighs_it(file: Path) -> None:
    """Any proxy of the shell, in whatever case, stands for all."""
    environ = {"HTTPS_PROXY": "http://other.test"}
    stand_in(file, environ)
    assert {"HTTPS_PROXY": "http://other.test"} == environ


def test_the_agents_environment_has_the_stored_ones_alone(file: Path) -> None:
    """What the doctor looks at is the agent's way, not the shell's."""
    environ = {"ALL_PROXY": "http://shell.test", "PATH": "/bin"}
    found = of_the_agent(file, environ)
    assert (False, "/bin", ".test,10.0.0.1") == ("ALL_PROXY" in found, found["PATH"], found["no_proxy"])


def test_without_a_file_nothing_changes(tmp_path: Path) -> None:
    """Not stored, not changed."""
    environ = {"https_proxy": "http://shell.test"}
    assert environ == of_the_agent(tmp_path / "none", environ)
