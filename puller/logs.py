"""Logs: one structured line for what happened, on standard error. In a terminal for people, elsewhere as JSON."""

import logging
import sys

import structlog


def configure_logs(*, verbose: bool, quiet: bool) -> None:
    """`quiet`: only what is wrong; for commands whose output is their answer."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    terminal = sys.stderr.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer(colors=terminal) if terminal else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
