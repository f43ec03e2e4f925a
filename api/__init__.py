"""The backend: catalogue, publisher, ingest, page."""


def version() -> str:
    """The version of towline that runs; `0` in a checkout that was never installed."""
    from importlib.metadata import PackageNotFoundError  # noqa: PLC0415 - a start that answers polls needs no version
    from importlib.metadata import version as installed  # noqa: PLC0415

    try:
        return installed("towline")
    except PackageNotFoundError:
        return "0"
