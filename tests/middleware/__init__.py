"""Real middleware for tests and demo, as archives in upstream's layout: of wheels, Debian's suites, Maven's jars."""

from tests.middleware.archives import Package, Unavailable
from tests.middleware.debian import (
    debian_nginx_archive,
    debian_redis_archive,
    node_exporter_archive,
    prometheus_archive,
)
from tests.middleware.elasticsearch import elasticsearch_archive, opensearch_archive
from tests.middleware.elasticsearch_stand_in import elasticsearch_stand_in
from tests.middleware.kafka import kafka_archive
from tests.middleware.kibana import kibana_archive
from tests.middleware.kibana_stand_in import kibana_stand_in
from tests.middleware.logstash_stand_in import logstash_stand_in
from tests.middleware.mysql import mariadb_archive, mysql_archive
from tests.middleware.packages import (
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
    "debian_nginx_archive",
    "debian_redis_archive",
    "elasticsearch_archive",
    "elasticsearch_stand_in",
    "java_app_archive",
    "java_runtime_archive",
    "kafka_archive",
    "kibana_archive",
    "kibana_stand_in",
    "logstash_stand_in",
    "mariadb_archive",
    "mysql_archive",
    "nginx_archive",
    "node_exporter_archive",
    "opensearch_archive",
    "prometheus_archive",
    "redis_archive",
    "site_archive",
    "valkey_archive",
]
