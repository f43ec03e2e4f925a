"""`towline serve` without its command line: `python -m tests.api.serve_process DATABASE_URL FOLDER PORT`."""

import asyncio
import sys
from pathlib import Path

from api.server import serve
from api.settings import Settings
from tests.api.house import settings_for


def settings_of(database_url: str, folder: Path, port: int) -> Settings:
    """Settings of the process."""
    publish = {"poll_s": 1, "directory": folder / "www"}
    return settings_for(database_url, folder, server={"port": port, "metrics_from_loopback": True}, publish=publish)


if __name__ == "__main__":
    asyncio.run(serve(settings_of(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))))
