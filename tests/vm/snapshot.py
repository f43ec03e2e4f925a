"""What a VM looks like: its tree, its units, its accounts and its cron lines, to be compared with later."""

from tests.vm.machine import Machine

# Left out: what any boot, any command and the journal change by themselves.
_TREE = r"""
find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /var/tmp -o -path /var/log/journal \
  -o -path /var/lib/systemd -o -path /root/.cache -o -path /var/lib/private -o -path /var/spool/cron/crontabs \) -prune \
  -o ! -path / ! -path /root/agentctl.sh -printf '%y %m %u:%g %p %l\n' | sort
find /etc /usr/local /opt /root -xdev -type f ! -path /root/agentctl.sh -print0 | sort -z | xargs -0 sha256sum
"""
_UNITS = "systemctl list-unit-files --no-legend --no-pager; systemctl list-units --all --no-legend --no-pager --plain 'towline*'"
_REST = "getent passwd; getent group; crontab -l 2>/dev/null; ls -A /run/towline* /var/log/towline* 2>/dev/null; true"


def snapshot(machine: Machine) -> list[str]:
    """Sorted lines; two snapshots of an unchanged machine are equal."""
    units = machine.sh(_UNITS).out if machine.init == "systemd" else ""
    return (machine.sh(_TREE).out + units + machine.sh(_REST).out).splitlines()
