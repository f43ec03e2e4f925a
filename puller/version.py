"""Which puller this is."""

from importlib.metadata import PackageNotFoundError, version


def agent_version() -> str:
    """The version of the distribution; `0` when run from a checkout."""
    try:
        return version("towline")
    except PackageNotFoundError:
        return "0"
