"""Looking without a script: is each service still the one that its script saw last? Costs microseconds.

A glance never says what a service's state is. It only says that something looks different, so that the script is asked.
"""

import asyncio
from collections.abc import Collection

import structlog

from desired_state.names import ServiceName
from desired_state.observed import Observation
from puller.looking.listening import listening_ports
from puller.looking.proc import boot_id, command_digest, start_time
from puller.looking.watched_files import WatchedFiles
from puller.ports import Known

SYSTEMCTL_TIMEOUT_S = 10.0
_log = structlog.get_logger("towline.glance")


class HostGlance:
    """Looks at processes, ports, files, and at systemd where a unit has no process to look at."""

    def __init__(self) -> None:
        self._files = WatchedFiles()
        self._units: dict[str, str] = {}

    async def different(self, observations: Collection[Observation]) -> frozenset[ServiceName]:
        """See ports.Glance."""
        listening = listening_ports() if any(seen.ports for seen in observations) else frozenset()
        changed_units = await self._changed_units(
            [seen.unit for seen in observations if seen.unit and not seen.identity]
        )
        return frozenset(
            seen.service for seen in observations if seen.unit in changed_units or not self._same(seen, listening)
        )

    def known(self, seen: Observation) -> Known:
        """See ports.Glance."""
        config = self._files.config_digest(seen.watch) if seen.watch else ""
        process = seen.identity
        command = "" if process is None else command_digest(process.pid)
        # Asked after reading: the number may have become another process's meanwhile.
        if process is None or not command or start_time(process.pid) != process.start_time:
            return Known(config=config)
        return Known(config=config, command=f"{process.pid}:{process.start_time}:{command}")

    def _same(self, seen: Observation, listening: frozenset[int]) -> bool:
        if seen.identity is not None and (
            seen.identity.boot_id != boot_id() or start_time(seen.identity.pid) != seen.identity.start_time
        ):
            return False
        if not listening.issuperset(seen.ports):
            return False
        return not seen.watch or self._files.config_digest(seen.watch) == seen.config

    async def _changed_units(self, units: list[str]) -> frozenset[str]:
        """Units whose state is another one than at the last glance. One question for all: systemctl costs 7-18 ms."""
        if not units:
            return frozenset()
        states = await _unit_states(units)
        changed = frozenset(unit for unit in units if self._units.get(unit) != states.get(unit, ""))
        self._units = {unit: states.get(unit, "") for unit in units}
        return changed


async def _unit_states(units: list[str]) -> dict[str, str]:
    """Each unit's state and main process, as one text; nothing where systemd cannot be asked."""
    command = ["systemctl", "show", "--property=Id,ActiveState,SubState,MainPID", "--", *units]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
    except OSError as error:
        _log.debug("systemctl cannot be asked", reason=str(error))
        return {}
    try:
        async with asyncio.timeout(SYSTEMCTL_TIMEOUT_S):
            printed, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        return {}
    blocks = (dict(line.split("=", 1) for line in block.splitlines()) for block in printed.decode().split("\n\n"))
    return {block["Id"]: " ".join(sorted(f"{k}={v}" for k, v in block.items())) for block in blocks if "Id" in block}
