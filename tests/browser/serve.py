"""The real server without its timers, which would publish other documents than the tests' own. `serve FOLDER PORT`."""

import asyncio
import signal
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from api.backend import open_backend
from api.front import Front
from api.server import LateApp, _server
from tests.api.house import settings_for


async def serve(folder: Path, port: int) -> None:
    """Until SIGTERM."""
    settings = settings_for(f"sqlite:///{folder / 'towline.db'}", folder, server={"port": port})
    async with open_backend(settings) as backend, AsyncExitStack() as stack:
        late = LateApp(backend, stack)
        server = _server(Front(late, lambda: backend.engine, lambda: backend.trusted.keys.exchange), settings)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, backend.closing.set)
        serving = asyncio.create_task(server.serve())
        await late.load()
        await backend.closing.wait()
        server.stop()
        await serving


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), int(sys.argv[2])))
