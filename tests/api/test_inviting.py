"""An invitation: which agent it names, and a command that a shell reads as it was meant."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from api.publish.bundle import read_scripts, shipped_folder
from api.services import agents
from api.services.join_command import Way, by_hand, pasted, way_problems
from desired_state.enrolment import JoinToken
from desired_state.joined_script import joined
from desired_state.names import digest_of
from puller.kinds.hostile import hostile_values
from tests.api.agents import ARCHIVE, WITH_AGENT, declared, hex_of, package, stored, told, with_agentctl
from tests.api.house import House

SCRIPT = joined("agentctl.sh", WITH_AGENT)
HEX = hex_of(digest_of(SCRIPT))
TOKEN = "towline-join-1.eyJob3N0IjoiYWxwaGEifQ"
BASE = "https://towline.example"
FAKE_CURL = """#!/bin/bash
printf '%s\\0' "$@" >"$TOLD/curl"
while (($#)); do [[ $1 != -o ]] || cp "$SERVED" "$2"; shift; done
"""
FAKE_WGET = FAKE_CURL.replace("curl", "wget").replace("-o", "-O")


def invited(house: House, name: str = "alpha", **asked: Any) -> tuple[JoinToken, dict[str, Any]]:
    """The join token and the whole answer of an invitation."""
    answer = house.ask("POST", f"/v1/hosts/{name}/invitation", asked)
    assert answer.status == 201, answer
    return JoinToken.decode(answer.json["join_token"]), answer.json


class Shell:
    """A bash on a host: its curl and wget give the script, whatever they are asked for."""

    def __init__(self, folder: Path, *, tools: tuple[str, ...] = ("curl", "wget"), served: bytes = SCRIPT) -> None:
        self.told = folder / "told"
        self.temporary = folder / "tmp dir"
        for made in (self.told, self.temporary, folder / "bin"):
            made.mkdir()
        (folder / "served").write_bytes(served)
        for name, text in (("curl", FAKE_CURL), ("wget", FAKE_WGET)):
            if name in tools:
                (folder / "bin" / name).write_text(text)
                (folder / "bin" / name).chmod(0o755)
        for name in ("bash", "cat", "cp", "mktemp", "rm", "sha256sum"):
            (folder / "bin" / name).symlink_to(
                next(p for p in (f"/bin/{name}", f"/usr/bin/{name}") if Path(p).exists())
            )
        self.environment = {
            "PATH": str(folder / "bin"),
            "TOLD": str(self.told),
            "SERVED": str(folder / "served"),
            "TMPDIR": str(self.temporary),
            "HOME": str(folder),
        }

    def paste(self, command: str, cwd: Path | None = None) -> subprocess.CompletedProcess[bytes]:
        """Type that into an interactive-like shell: from standard input, not as an argument."""
        return subprocess.run(
            ["/bin/bash"],
            check=False,
            input=command.encode() + b"\n",
            env=self.environment,
            cwd=cwd,
            capture_output=True,
            timeout=30,
        )

    def words(self, tool: str) -> list[str]:
        """With which words a tool was called."""
        return (self.told / tool).read_bytes().decode().split("\0")[:-1]


def test_the_token_names_the_agent_and_its_script(house: House) -> None:
    """Digest, size and version of the newest archive, and the digest of the script that installs it."""
    entry = stored(with_agentctl(house), package())
    token, answer = invited(house)
    expected = (digest_of(SCRIPT), entry.digest, len(ARCHIVE), "0.4.0")
    assert expected == (token.agentctl_digest, token.agent_digest, token.agent_size, token.agent_version)
    assert (True, entry.file) == (answer["agent"]["stored"], answer["agent"]["file"])


@pytest.mark.parametrize("known", ["script", "archive", "wheels"])
def test_without_an_agent_the_token_is_what_it_was(small_house: House, known: str) -> None:
    """Where the script or the archive is missing, or only wheels are there, nothing is named; the command enrols."""
    if known != "archive":
        with_agentctl(small_house)
    if known != "script":
        stored(small_house, package(file="" if known == "archive" else "towline-agent-0.4.0-wheels.tar.gz"))
    token, answer = invited(small_house)
    assert ("", "", 0, "") == (token.agentctl_digest, token.agent_digest, token.agent_size, token.agent_version)
    assert (None, True) == (answer["agent"], answer["command"].startswith("towline-puller enroll <<'TOWLINE'\n"))


def test_the_newest_version_is_named(house: House) -> None:
    """By version, not by when it was added; the catalogue's and the store's count alike."""
    with_agentctl(house)
    for version in ("0.10.0", "0.9.9", "0.10.0rc1"):
        stored(house, package(version, data=version.encode()), version.encode())
    declared(house, package("0.9.10", data=b"declared"))
    assert "0.10.0" == invited(house)[0].agent_version


def test_versions_sort_as_people_read_them() -> None:
    """Numbers as numbers, releases after their candidates."""
    ordered = ["0.9", "0.9.1", "0.10.0a1", "0.10.0rc2", "0.10.0", "0.10.1", "1.0", "10.0"]
    turned = list(reversed(ordered))
    assert ordered == sorted(turned, key=agents.age_of)


def test_what_the_catalogue_declares_outweighs_the_newest(house: House) -> None:
    """A host's service of kind agent says which release it gets, with its override; other hosts get the newest."""
    with_agentctl(house)
    for version in ("0.4.0", "0.5.0", "0.6.0"):
        declared(house, package(version, data=version.encode()))
    for name, role in (("alpha", "web"), ("beta", "web"), ("gamma", "db")):
        house.ask("PUT", f"/v1/catalogue/hosts/{name}", {"host": name, "labels": {"role": role}})
    service = {
        "service": "agent",
        "kind": "agent",
        "version": "0.4.0",
        "packages": {"release": "towline-agent-0.4.0"},
        "placement": {"labels": {"role": "web"}},
        "overrides": {"beta": {"version": "0.5.0", "packages": {"release": "towline-agent-0.5.0"}}},
    }
    assert house.ask("PUT", "/v1/catalogue/services/agent", service).status == 201
    versions = [invited(house, name)[0].agent_version for name in ("alpha", "beta", "gamma", "delta")]
    assert ["0.4.0", "0.5.0", "0.6.0", "0.6.0"] == versions


def test_the_command_installs_and_joins(tmp_path: Path, small_house: House) -> None:
    """Pasted into a shell, the answer's command fetches the script, checks it and runs it with the token in a file."""
    stored(with_agentctl(small_house), package())
    token, answer = invited(small_house)
    shell = Shell(tmp_path)
    done = shell.paste(answer["command"])
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)
    arguments, read = told(shell.told)
    assert (["install", "--token-file"], token) == (arguments[:2], JoinToken.decode(read))
    assert f"http://127.0.0.1:8470/v1/agent/sha256/{HEX}" == shell.words("curl")[-1]


def test_the_command_says_that_the_archive_is_one_of_wheels(tmp_path: Path, house: House) -> None:
    """So that a host is judged for it, and one of another machine than x86_64 refuses the other archive unfetched."""
    with_agentctl(house)
    declared(house, package("0.4.0", file="towline-agent-0.4.0-wheels.tar.gz"))
    house.ask("PUT", "/v1/catalogue/hosts/alpha", {"host": "alpha", "labels": {"role": "web"}})
    service = {"service": "agent", "kind": "agent", "version": "0.4.0", "placement": {"labels": {"role": "web"}}}
    service["packages"] = {"release": "towline-agent-0.4.0"}
    assert house.ask("PUT", "/v1/catalogue/services/agent", service).status == 201
    answer = invited(house)[1]
    shell = Shell(tmp_path)
    assert 0 == shell.paste(answer["command"]).returncode
    assert ["--method", "wheels"] == told(shell.told)[0][-2:]
    assert '--from "$PWD" --method wheels <<' in answer["command_by_hand"]


def test_the_command_leaves_nothing_behind(tmp_path: Path) -> None:
    """The token's file is for its owner alone, and gone afterwards, also when the script fails."""
    shell = Shell(tmp_path, served=b'ls -l "$4" >"$TOLD/mode"; exit 6')
    (tmp_path / "bin" / "ls").symlink_to("/bin/ls")
    hexed = hex_of(digest_of((tmp_path / "served").read_bytes()))
    done = shell.paste(
        pasted(TOKEN, backend_url=BASE, agentctl_hex=hexed, way=Way()).replace('"$d/token")', '"$d/token" "$d/token")')
    )
    assert (6, "-rw-------", []) == (
        done.returncode,
        (shell.told / "mode").read_text()[:10],
        list(shell.temporary.iterdir()),
    )


def test_a_swapped_script_is_not_run(tmp_path: Path) -> None:
    """Another script than the token's is refused before a line of it is run."""
    shell = Shell(tmp_path, served=b'touch "$TOLD/arguments"\n')
    done = shell.paste(pasted(TOKEN, backend_url=BASE, agentctl_hex=HEX, way=Way()))
    assert (False, False) == (done.returncode == 0, (shell.told / "arguments").exists())


def test_wget_does_where_there_is_no_curl(tmp_path: Path) -> None:
    """A bare Debian has one of the two at most."""
    shell = Shell(tmp_path, tools=("wget",))
    done = shell.paste(pasted(TOKEN, backend_url=BASE, agentctl_hex=HEX, way=Way(ca_file="/etc/ca.pem")))
    assert (0, f"{TOKEN}\n") == (done.returncode, told(shell.told)[1])
    assert {"--ca-certificate", "/etc/ca.pem"} <= set(
        shell.words("wget")
    ) or "--ca-certificate=/etc/ca.pem" in shell.words("wget")


def test_every_value_is_one_word(tmp_path: Path) -> None:
    """Hostile paths and URLs arrive byte for byte at curl and at the script, or are refused; none is run."""
    canary = tmp_path / "canary"
    refused, arrived = 0, 0
    for number, value in enumerate(hostile_values(canary)):
        way = Way(mirror=f"https://mirror.example/{value}", ca_file=f"/etc/{value}", prefix=f"/opt/{value}")
        base = f"https://towline.example/{value}"
        if way_problems(way, base):
            refused += 1
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        shell = Shell(folder)
        assert shell.paste(pasted(TOKEN, backend_url=base, agentctl_hex=HEX, way=way)).returncode == 0, value
        mirror = way.mirror.rstrip("/")
        arguments, read = told(shell.told)
        options = ["--from", mirror, "--ca-file", way.ca_file, "--prefix", way.prefix]
        assert (options, f"{TOKEN}\n") == (arguments[3:], read)
        curl = shell.words("curl")
        assert (f"{mirror}/sha256/{HEX}", way.ca_file) == (curl[-1], curl[curl.index("--cacert") + 1])
        without = Way(prefix=way.prefix)
        assert shell.paste(pasted(TOKEN, backend_url=base, agentctl_hex=HEX, way=without)).returncode == 0
        assert f"{base}/v1/agent/sha256/{HEX}" == shell.words("curl")[-1]
        arrived += 1
    assert (False, True, True) == (canary.exists(), refused > 5, arrived > 5)


def test_each_hostile_path_alone(tmp_path: Path) -> None:
    """A path that is hostile in one place only: refused, or byte-equal."""
    canary = tmp_path / "canary"
    shell = Shell(tmp_path)
    for value in hostile_values(canary):
        way = Way(ca_file=f"/etc/{value}", prefix=f"/opt/{value}")
        if not way_problems(way, BASE):
            assert shell.paste(pasted(TOKEN, backend_url=BASE, agentctl_hex=HEX, way=way)).returncode == 0
            assert ["--ca-file", way.ca_file, "--prefix", way.prefix] == told(shell.told)[0][3:]
        else:
            assert not value.isprintable() or len(value) > 900
    assert not canary.exists()


@pytest.mark.parametrize(
    ("way", "base", "pointers"),
    [
        (Way(ca_file="ca.pem"), BASE, ["/ca_file"]),
        (Way(prefix="~/x"), BASE, ["/prefix"]),
        (Way(prefix="/opt/\x1b[2Jx"), BASE, ["/prefix"]),
        (Way(prefix="/opt\n"), BASE, ["/prefix"]),
        (Way(mirror="ftp://x/y"), BASE, ["/mirror"]),
        (Way(mirror="https://x/y?z=1"), BASE, ["/mirror"]),
        (Way(mirror="-o/etc/passwd"), BASE, ["/mirror"]),
        (Way(), "https://x\n", [""]),
        (Way(), "https://x y", [""]),
        (Way(), 'https://x/"', [""]),
        (Way(), "https://x/\\", [""]),
        (Way(mirror="https://x/`id`"), BASE, ["/mirror"]),
    ],
)
def test_what_no_terminal_should_be_typed_is_refused(way: Way, base: str, pointers: list[str]) -> None:
    """Relative paths, control characters, URLs of other kinds: refused with the field."""
    assert pointers == [problem.pointer for problem in way_problems(way, base)]


@pytest.mark.parametrize("path", ["$(id)", "'", "it's;rm", "$HOME", "a&b", "[1-3]", "(x)", "!!", "%41", "@x:1", "*"])
def test_an_odd_url_arrives_as_it_is(tmp_path: Path, path: str) -> None:
    """What RFC 3986 allows and a shell or curl would read as more than it is."""
    shell, url = Shell(tmp_path), f"https://x.example/{path}"
    way = Way(mirror=url)
    assert () == way_problems(way, url)
    assert shell.paste(pasted(TOKEN, backend_url=url, agentctl_hex=HEX, way=way)).returncode == 0
    assert (f"{url}/sha256/{HEX}", url) == (shell.words("curl")[-1], told(shell.told)[0][4])
    assert shell.paste(pasted(TOKEN, backend_url=url, agentctl_hex=HEX, way=Way())).returncode == 0
    assert f"{url}/v1/agent/sha256/{HEX}" == shell.words("curl")[-1]


def test_a_refused_way_invites_nobody(small_house: House) -> None:
    """REST answers 422 with the field, and no token is made: the one before goes on counting."""
    answer = small_house.ask("POST", "/v1/hosts/alpha/invitation", {"prefix": "relative"})
    assert (422, ["/prefix"]) == (answer.status, [pointer for pointer, _ in answer.problems])
    assert [] == [one for one in small_house.ask("GET", "/v1/events").json["items"] if one["action"] == "host.invited"]


def test_the_shipped_script_is_one_file_by_hand(tmp_path: Path) -> None:
    """The real agentctl.sh, joined, runs alone in an empty folder."""
    script = agents.agentctl_of(read_scripts(shipped_folder()))
    assert script is not None
    (tmp_path / "agentctl.sh").write_bytes(script)
    done = subprocess.run(
        ["/bin/bash", "agentctl.sh", "help"], check=False, cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert "--token-file" in done.stdout


def test_the_carried_command_takes_the_files_of_its_folder(tmp_path: Path) -> None:
    """It runs the script that lies there, with that folder as the place of the archive and the token from its input."""
    shell = Shell(tmp_path)
    carried = tmp_path / "usb stick's $HOME"
    carried.mkdir()
    (carried / "agentctl.sh").write_bytes(SCRIPT)
    assert shell.paste(by_hand(TOKEN, way=Way(prefix="/opt/a b")), cwd=carried).returncode == 0
    assert (["install", "--from", str(carried), "--prefix", "/opt/a b"], f"{TOKEN}\n") == told(shell.told)


def test_the_command_names_no_secret_in_arguments(tmp_path: Path) -> None:
    """Neither curl nor the script sees the token in its arguments."""
    shell = Shell(tmp_path)
    shell.paste(pasted(TOKEN, backend_url=BASE, agentctl_hex=HEX, way=Way()))
    assert [] == [word for word in (*shell.words("curl"), *told(shell.told)[0]) if "towline-join" in word]
