"""Work that may hang, with an end: a thread that is given up on must not hold up the end of the doctor either."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def in_time(work: Callable[[], T], seconds: float) -> T:
    """The result of `work`, which runs in a daemon thread. Raises TimeoutError, and whatever `work` raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def tell(what: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(lambda: None if done.done() else what())

    def run() -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
            told = error
            tell(lambda: done.set_exception(told))
        else:
            tell(lambda: done.set_result(result))

    threading.Thread(target=run, name="doctor", daemon=True).start()
    async with asyncio.timeout(seconds):
        return await done
