"""Notices at once that a service's process ended: a pidfd for each, in the loop. Costs nothing while they live."""

import asyncio
import os
from collections.abc import Callable, Mapping

from desired_state.names import ServiceName
from desired_state.observed import Identity
from puller.looking.proc import start_time


class ExitWatch:
    """Calls back when a watched process ends. Where the kernel has no pidfd (before 5.3), the next poll finds out."""

    def __init__(self, on_exit: Callable[[ServiceName], None]) -> None:
        self._on_exit = on_exit
        self._watched: dict[ServiceName, tuple[Identity, int]] = {}
        self._told: dict[ServiceName, Identity] = {}

    def watch(self, identities: Mapping[ServiceName, Identity]) -> None:
        """From now on exactly these are watched."""
        for service, (identity, _) in list(self._watched.items()):
            if identities.get(service) != identity:
                self._forget(service)
        for service, identity in identities.items():
            if service not in self._watched:
                self._begin(service, identity)

    def close(self) -> None:
        """Watches nobody any more."""
        self.watch({})

    def _begin(self, service: ServiceName, identity: Identity) -> None:
        try:
            pidfd = os.pidfd_open(identity.pid)
        except ProcessLookupError:
            self._missed(service, identity)
            return
        except OSError:
            return
        if start_time(identity.pid) != identity.start_time:  # asked after opening: the number is another process's
            os.close(pidfd)
            self._missed(service, identity)
            return
        self._watched[service] = (identity, pidfd)
        asyncio.get_running_loop().add_reader(pidfd, self._ended, service)

    def _missed(self, service: ServiceName, identity: Identity) -> None:
        """It ended between the look and the watch. Said once: a script may go on naming a process that is gone."""
        if self._told.get(service) != identity:
            self._told[service] = identity
            self._on_exit(service)

    def _ended(self, service: ServiceName) -> None:
        self._forget(service)
        self._on_exit(service)

    def _forget(self, service: ServiceName) -> None:
        _, pidfd = self._watched.pop(service)
        asyncio.get_running_loop().remove_reader(pidfd)
        os.close(pidfd)
