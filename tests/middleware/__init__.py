"""Real middleware for tests and demo, as archives in upstream's layout: of wheels, Debian's suites, Maven's jars."""

from tests.middleware.archives import Package, Unavailable
from tests.middleware.debian import (
    debian_nginx_archive,
    debian_redis_archive,
    node_exporter_archive,
    prometheus_archive,
)
from tests.middleware.kafka import kafka_archive
from tests.middleware.mysql import mariadb_archive, mysql_archive
from tests.middleware.packages import (
    java_app_archive,
    java_runtime_archive,
    nginx_archive,
    redis_archive,
    site_archive,
    valkey_archive,
)
from tests.middleware.stand_in_zookeeper import stand_in_for_zookeeper
from tests.middleware.zookeeper import zookeeper_archive

__all__ = [
    "Package",
    "Unavailable",
    "debian_nginx_archive",
    "debian_redis_archive",
    "java_app_archive",
    "java_runtime_archive",
    "kafka_archive",
    "mariadb_archive",
    "mysql_archive",
    "nginx_archive",
    "node_exporter_archive",
    "prometheus_archive",
    "redis_archive",
    "site_archive",
    "stand_in_for_zookeeper",
    "valkey_archive",
    "zookeeper_archive",
]
