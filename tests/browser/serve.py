"""The real server without its timers, which would publish other documents than the tests' own. `serve FOLDER PORT`."""

import asyncio
import sys
from pathlib import Path

from api import server
from api.backend import Backend
from api.schedule import Schedule
from tests.api.agents import SCRIPTS
from tests.api.house import settings_for


def no_timers(backend: Backend) -> Schedule:
    """A schedule that does nothing. The agent's script is a small one, whatever is shipped."""
    backend.shipped = {**backend.shipped, **SCRIPTS}
    return Schedule()


if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    server.make_schedule = no_timers
    asyncio.run(server.serve(settings_for(f"sqlite:///{folder / 'towline.db'}", folder, server={"port": port})))
