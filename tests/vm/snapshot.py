"""What a VM looks like: its tree, its units, its accounts and its cron lines, to be compared with later."""

from tests.vm.machine import Machine

_LEFT_OUT = (
    *("/proc", "/sys", "/dev", "/run", "/tmp", "/var/tmp", "/var/log/journal", "/var/lib/systemd", "/var/lib/private"),
    "/srv/agentctl.sh",
)
"""What any boot, any command and the journal change by themselves, and the script that the tests keep beside."""

_TREE = r"""
prune=()
for path; do prune+=(-path "$path" -o); done
find / -xdev \( "${prune[@]}" -false \) -prune -o ! -path / -printf '%y %m %u:%g %p %l\n' | sort
find /etc /usr/local /opt /root -xdev \( "${prune[@]}" -false \) -prune -o -type f -print0 |
  sort -z | xargs -0 sha256sum
getent passwd
getent group
"""
_UNITS = r"""
systemctl list-unit-files --no-legend --no-pager
systemctl list-units --all --no-legend --no-pager --plain 'towline*'
"""


def snapshot(machine: Machine) -> list[str]:
    """Sorted lines; two snapshots of an unchanged machine are equal."""
    units = machine.sh(_UNITS).out if machine.init == "systemd" else ""
    return (machine.sh(_TREE, *_LEFT_OUT).out + units).splitlines()
