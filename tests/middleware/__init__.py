"""Real middleware for tests and demo, as archives in upstream's layout: of wheels, Debian's suites, Maven's jars."""

from tests.middleware.archives import Package, Unavailable
from tests.middleware.debian import (
    debian_nginx_archive,
    debian_redis_archive,
    mysqld_exporter_archive,
    node_exporter_archive,
    prometheus_archive,
    redis_exporter_archive,
)
from tests.middleware.elasticsearch import elasticsearch_archive, opensearch_archive
from tests.middleware.elasticsearch_stand_in import elasticsearch_stand_in
from tests.middleware.jmx import jmx_jar
from tests.middleware.kafka import kafka_archive
from tests.middleware.kibana import kibana_archive
from tests.middleware.kibana_stand_in import kibana_stand_in
from tests.middleware.logstash_stand_in import logstash_stand_in
from tests.middleware.mongodb import mongodb_archive
from tests.middleware.mysql import mariadb_archive, mysql_archive
from tests.middleware.nacos import nacos_archive
from tests.middleware.packages import (
    java_app_archive,
    java_runtime_archive,
    nginx_archive,
    redis_archive,
    site_archive,
    valkey_archive,
)
from tests.middleware.sentinel import sentinel_jar
from tests.middleware.skywalking import (
    mysql_driver,
    skywalking_agent_archive,
    skywalking_archive,
    stand_in_skywalking,
)
from tests.middleware.stand_in import stand_in_java_archive, stand_in_nacos_archive, stand_in_sentinel_archive
from tests.middleware.stand_in_zookeeper import stand_in_for_zookeeper
from tests.middleware.zookeeper import zookeeper_archive

__all__ = [
    "Package",
    "Unavailable",
    "debian_nginx_archive",
    "debian_redis_archive",
    "elasticsearch_archive",
    "elasticsearch_stand_in",
    "java_app_archive",
    "java_runtime_archive",
    "jmx_jar",
    "kafka_archive",
    "kibana_archive",
    "kibana_stand_in",
    "logstash_stand_in",
    "mariadb_archive",
    "mongodb_archive",
    "mysql_archive",
    "mysql_driver",
    "mysqld_exporter_archive",
    "nacos_archive",
    "nginx_archive",
    "node_exporter_archive",
    "opensearch_archive",
    "prometheus_archive",
    "redis_archive",
    "redis_exporter_archive",
    "sentinel_jar",
    "site_archive",
    "skywalking_agent_archive",
    "skywalking_archive",
    "stand_in_for_zookeeper",
    "stand_in_java_archive",
    "stand_in_nacos_archive",
    "stand_in_sentinel_archive",
    "stand_in_skywalking",
    "valkey_archive",
    "zookeeper_archive",
]
