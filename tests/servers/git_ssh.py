"""A bare repository behind a real sshd: its own host key, one allowed client key, and nothing but git."""

import getpass
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.servers.git_repository import BareRepository
from tests.servers.process import ServerProcess, free_port, listens

_SSHD = "/usr/sbin/sshd"
_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host_key
PidFile none
AuthorizedKeysFile {folder}/client_key.pub
AllowUsers {account}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM {pam}
# pytest's folders belong to the right account, their parents to whoever
StrictModes no
AllowTcpForwarding no
PermitUserEnvironment no
ForceCommand git-shell -c "$SSH_ORIGINAL_COMMAND"
LogLevel VERBOSE
"""


@dataclass(frozen=True, kw_only=True)
class GitOverSsh:
    """A served repository and all that a client needs to reach it."""

    repository: BareRepository
    url: str
    account: str
    private_key: Path
    """The client key that is let in, in OpenSSH's format, without a passphrase."""
    stranger_key: Path
    """A client key that is not let in."""
    known_hosts: str
    """The server's line for a known_hosts file."""
    wrong_known_hosts: str
    """The line that a client holds whose server was swapped: the same address, another key."""
    log: Path
    process: ServerProcess


def serve_git_over_ssh(folder: Path) -> GitOverSsh:
    """Start a private sshd as the current account; the caller stops its process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("host_key", "other_host_key", "client_key", "stranger_key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", folder / name], check=True)
    account, port, log = getpass.getuser(), free_port(), folder / "sshd.log"
    _make_privilege_separation_folder()
    config = folder / "sshd_config"
    config.write_text(_CONFIG.format(folder=folder, port=port, account=account, pam=_pam(account)))
    process = ServerProcess([_installed_sshd(), "-D", "-e", "-f", config], log=log)
    process.wait_until(lambda: listens(port))
    repository = BareRepository(folder / "desired.git")
    return GitOverSsh(
        repository=repository,
        url=f"ssh://{account}@127.0.0.1:{port}{repository.path}",
        account=account,
        private_key=folder / "client_key",
        stranger_key=folder / "stranger_key",
        known_hosts=_known_hosts(port, folder / "host_key.pub"),
        wrong_known_hosts=_known_hosts(port, folder / "other_host_key.pub"),
        log=log,
        process=process,
    )


def _known_hosts(port: int, public_key: Path) -> str:
    kind, key, _ = public_key.read_text().split()
    return f"[127.0.0.1]:{port} {kind} {key}\n"


def _installed_sshd() -> str:
    if shutil.which(_SSHD) is None:
        raise FileNotFoundError(f"{_SSHD} is not installed; run: apt-get install openssh-server")
    return _SSHD


def _make_privilege_separation_folder() -> None:
    # As root sshd wants this folder, which Debian makes when the service starts: here no service starts.
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)


def _pam(account: str) -> str:
    # Without PAM sshd refuses an account whose password is locked by "!", as root's is on many machines. As another
    # account than root sshd cannot use PAM, and cannot read the shadow file either.
    if os.geteuid() != 0:
        return "no"
    locked = any(line.startswith(f"{account}:!") for line in Path("/etc/shadow").read_text().splitlines())
    return "yes" if locked else "no"
