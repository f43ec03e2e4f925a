"""Real middleware for tests and the demo: package archives with an upstream layout, made from wheels on PyPI."""

from tests.middleware.packages import (
    Package,
    Unavailable,
    java_app_archive,
    java_runtime_archive,
    nginx_archive,
    redis_archive,
    site_archive,
    valkey_archive,
)

__all__ = [
    "Package",
    "Unavailable",
    "java_app_archive",
    "java_runtime_archive",
    "nginx_archive",
    "redis_archive",
    "site_archive",
    "valkey_archive",
]
