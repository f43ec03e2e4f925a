"""What systemd is told: ready, alive, and one line of status. sd_notify(3), without its library."""

import asyncio
import os
import socket


def notify(message: str) -> None:
    """Sends to the supervisor; nothing happens where there is none."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    target = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        try:
            channel.sendto(message.encode(), target)
        except OSError:
            return  # a supervisor that went away is no reason to stop


def watchdog_period_s() -> float | None:
    """How often to say `WATCHDOG=1`: half of what the supervisor waits. None: it does not watch."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    return int(microseconds) / 2e6 if microseconds.isdigit() and int(microseconds) > 0 else None


async def tell_watchdog() -> None:
    """Says that it lives, for ever; ends at once where nobody watches."""
    period_s = watchdog_period_s()
    while period_s is not None:
        notify("WATCHDOG=1")
        await asyncio.sleep(period_s)
