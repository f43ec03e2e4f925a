"""Our two commands: the installed ones, or, in a checkout that nobody installed, the modules behind them."""

import importlib.util
import os
import sys
from pathlib import Path

from .narrator import WentWrong

CHECKOUT = Path(__file__).resolve().parents[3]
MODULES = {"towline": "api.cli", "towline-puller": "puller.cli"}


def command(name: str) -> list[str]:
    """What begins the command line of `towline` or `towline-puller`: the code that this interpreter would import."""
    module = MODULES[name]
    if _of_checkout(module):
        return [sys.executable, "-m", module]
    beside = Path(sys.executable).parent / name
    if not beside.exists():
        raise WentWrong(f"the command {name} is not installed beside {sys.executable}: run this through nox")
    return [str(beside)]


def own_environment(folder: Path) -> dict[str, str]:
    """An environment without what a developer's machine adds to it."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    path = {"PYTHONPATH": str(CHECKOUT)} if _of_checkout("puller") else {}
    return {"HOME": str(folder), "LANG": "C.UTF-8", **path, **kept}


def _of_checkout(module: str) -> bool:
    found = importlib.util.find_spec(module.partition(".")[0])
    return found is not None and found.origin is not None and Path(found.origin).is_relative_to(CHECKOUT)
