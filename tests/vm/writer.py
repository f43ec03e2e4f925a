"""A client that writes one number after the other, and counts what was acknowledged; run in a VM's network namespace.

writer.py KIND HOST:PORT[,HOST:PORT...] FIRST        writes from FIRST on until a line comes; prints "writes" when
                                                     the first is acknowledged, and at the end
                                                     {"acknowledged": N, "longest_pause_s": S}
writer.py KIND HOST:PORT[,HOST:PORT...] FIRST LAST   prints those of the numbers FIRST to LAST that are not there

The first line of its input is the password. An attempt whose answer never came is not acknowledged: the number
is tried again until it is, as an application would.
"""

import http.client
import json
import logging
import select
import socket
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pymysql
from kafka import KafkaConsumer, KafkaProducer, TopicPartition  # type: ignore[import-untyped]

WAITS_S = 3.0
TOPIC, PARTITIONS = "kept", 3
INDEX = "kept"
Place = tuple[str, int]


class Store(Protocol):
    """Where numbers are written; any error means that nothing is known of the last one."""

    def write(self, number: int) -> None:
        """Returns when the number is acknowledged."""

    def there(self, first: int, last: int) -> Iterator[int]:
        """Those of these numbers that are there; others and repeated ones do no harm."""


class Redis:
    """By its own protocol; the first place is the primary."""

    def __init__(self, places: list[Place], password: str) -> None:
        self._line = socket.create_connection(places[0], timeout=WAITS_S)
        self._answers = self._line.makefile("rb")
        self._ask("AUTH", password)

    def write(self, number: int) -> None:
        if self._ask("SET", f"n{number}", "here") != "+OK":
            raise ConnectionError("not written")

    def there(self, first: int, last: int) -> Iterator[int]:
        return (number for number in range(first, last + 1) if self._ask("EXISTS", f"n{number}") == ":1")

    def _ask(self, *words: str) -> str:
        packed = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        self._line.sendall(f"*{len(words)}\r\n{packed}".encode())
        answer = self._answers.readline().decode().strip()
        if not answer or answer.startswith("-"):
            raise ConnectionError(answer or "closed")
        return answer


class Mysql:
    """A row for each, committed alone; the first place is the primary."""

    def __init__(self, places: list[Place], password: str) -> None:
        host, port = places[0]
        self._line = pymysql.connect(
            host=host,
            port=port,
            user="app",
            password=password,
            database="shop",
            autocommit=True,
            connect_timeout=WAITS_S,
            read_timeout=WAITS_S,
            write_timeout=WAITS_S,
        )
        self._made = False

    def write(self, number: int) -> None:
        if not self._made:
            self._ask("CREATE TABLE IF NOT EXISTS kept (n INT PRIMARY KEY)")
            self._made = True
        self._ask(f"INSERT IGNORE INTO kept VALUES ({number})")  # noqa: S608 - a number of ours

    def there(self, first: int, last: int) -> Iterator[int]:
        rows = self._ask(f"SELECT n FROM kept WHERE n BETWEEN {first} AND {last}")  # noqa: S608 - the same
        return (number for (number,) in rows)

    def _ask(self, sql: str) -> tuple[tuple[int, ...], ...]:
        with self._line.cursor() as cursor:
            cursor.execute(sql)
            return tuple(cursor.fetchall())


class Kafka:
    """A record for each, to all partitions in turn; acknowledged by all replicas that are in sync."""

    def __init__(self, places: list[Place], password: str) -> None:
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
        self._servers = [f"{host}:{port}" for host, port in places]
        self._producer: KafkaProducer | None = None

    def write(self, number: int) -> None:
        # One for all: it goes over to another leader by itself, and an error of it is one that no client can mend.
        self._producer = self._producer or KafkaProducer(
            bootstrap_servers=self._servers,
            acks="all",
            request_timeout_ms=int(WAITS_S * 1000),
            reconnect_backoff_max_ms=500,
        )
        self._producer.send(TOPIC, str(number).encode(), partition=number % PARTITIONS).get(timeout=120)

    def there(self, first: int, last: int) -> Iterator[int]:
        consumer = KafkaConsumer(bootstrap_servers=self._servers)
        partitions = [TopicPartition(TOPIC, number) for number in range(PARTITIONS)]
        ends = consumer.end_offsets(partitions)
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(timeout_ms=1000).values():
                yield from (int(record.value) for record in records)


class Elasticsearch:
    """A document for each, of an index with a copy on every node; by whichever node answers."""

    def __init__(self, places: list[Place], password: str) -> None:
        self._lines = [http.client.HTTPConnection(host, port, timeout=WAITS_S) for host, port in places]
        self._made = False

    def write(self, number: int) -> None:
        if not self._made:
            settings = {"number_of_shards": 1, "number_of_replicas": 2}
            self._ask("PUT", f"/{INDEX}", {"settings": settings}, accept=(400,))  # 400: it is there
            self._made = True
        # Acknowledged where more than half of the copies are there: one alone might be lost with its node.
        self._ask("PUT", f"/{INDEX}/_doc/{number}?wait_for_active_shards=2&timeout={WAITS_S:.0f}s", {"n": number})

    def there(self, first: int, last: int) -> Iterator[int]:
        for start in range(first, last + 1, 1000):
            ids = [str(number) for number in range(start, min(start + 1000, last + 1))]
            # _local: what this node's own copy has.
            for found in self._ask("GET", f"/{INDEX}/_mget?preference=_local&_source=false", {"ids": ids})["docs"]:
                if found.get("found"):
                    yield int(found["_id"])

    def _ask(self, method: str, path: str, body: object, accept: tuple[int, ...] = ()) -> Any:
        line = self._lines[0]
        try:
            line.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            answer = line.getresponse()
            told = json.loads(answer.read())
        except (OSError, http.client.HTTPException):
            line.close()
            self._lines = [*self._lines[1:], line]  # the next attempt asks the next node
            raise
        if answer.status >= 300 and answer.status not in accept:
            raise ConnectionError(told)
        return told


STORES: dict[str, Callable[[list[Place], str], Store]] = {
    "redis": Redis,
    "mysql": Mysql,
    "kafka": Kafka,
    "elasticsearch": Elasticsearch,
}


def write(connect: Callable[[], Store], first: int) -> dict[str, object]:
    """Until a line comes, and one more number is acknowledged: a pause that lasts till then counts."""
    acknowledged, ends = 0, False
    last, longest = time.monotonic(), 0.0
    store: Store | None = None
    while not ends:
        ends_then = bool(select.select([sys.stdin], [], [], 0)[0])
        try:
            store = store or connect()
            store.write(first + acknowledged)
        except Exception:  # noqa: BLE001 - whatever it is, it is tried again
            store = None
            time.sleep(0.05)
            continue
        if acknowledged == 0:
            print("writes", flush=True)
            last = time.monotonic()
        acknowledged += 1
        last, longest = time.monotonic(), max(longest, time.monotonic() - last)
        ends = ends_then
        time.sleep(0.002)
    return {"acknowledged": acknowledged, "longest_pause_s": round(longest, 2)}


def main() -> None:
    """As the arguments say."""
    kind, told, *numbers = sys.argv[1:]
    password = sys.stdin.readline().rstrip("\n")
    places = [(host, int(port)) for host, _, port in (place.partition(":") for place in told.split(","))]
    first, *last = map(int, numbers)
    if last:
        there = set(STORES[kind](places, password).there(first, last[0]))
        print(json.dumps([number for number in range(first, last[0] + 1) if number not in there]))
    else:
        print(json.dumps(write(lambda: STORES[kind](places, password), first)))


if __name__ == "__main__":
    main()
