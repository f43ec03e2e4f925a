"""The backend: catalogue, publisher, ingest, page."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as _version


def version() -> str:
    """The version of towline that runs; `0` in a checkout that was never installed."""
    try:
        return _version("towline")
    except PackageNotFoundError:
        return "0"
