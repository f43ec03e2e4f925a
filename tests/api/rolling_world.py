"""A cluster of three in a backend's database, whose members report what a test says."""

from typing import Any

from msgspec.structs import replace

from api.database import transaction
from api.services.ingest import store
from api.services.publishing import Publication, publish
from desired_state.catalogue import Cluster, HostEntry, Member, ServiceEntry
from desired_state.names import digest_of
from desired_state.observed import Observation
from desired_state.report import Condition, Delivery, Report, ServiceStatus, Status
from tests.api.fleet_world import TOY, World

QUORUM = TOY.replace(b'"toy"', b'"quorum"').replace(
    b'"schema"', b'"cluster": [{"parameter": "leader", "from": "primary", "form": "{address}:{port}"}], "schema"'
).replace(b'"default": "80"}', b'"default": "80"}, {"name": "leader", "type": "peer"}')  # fmt: skip
HOSTS = tuple(HostEntry(host=name) for name in ("a", "b", "c", "d"))
QUEUE = ServiceEntry(
    service="queue",
    kind="quorum",
    version="1",
    cluster=Cluster(members={name: Member(id=number) for number, name in enumerate("abc", 1)}, primary="a"),
)
OTHER = ServiceEntry(service="other", kind="toy", version="1")
LAST = "waits for {0}: it has not reported revision {1} yet"


class Roll:
    """What happens to the cluster."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.seq = 0
        self.publisher = world.publisher(shipped={"toyctl.sh": TOY, "quorumctl.sh": QUORUM})

    async def declare(self, *more: ServiceEntry, hosts: tuple[HostEntry, ...] = HOSTS, **changes: Any) -> Publication:
        """The service with these changes, and publish."""
        await self.world.declare([*hosts, replace(QUEUE, **changes), *more])
        return await self.publish()

    async def publish(self) -> Publication:
        """Once."""
        return await publish(self.world.engine, self.publisher)

    async def versions(self) -> str:
        """What the members' documents ask for, in the order of their names; `-` for nothing."""
        documents = await self.world.documents()
        found = [
            next((service.version for service in documents[host].services if service.name == "queue"), "-")
            for host in "abcd"
        ]
        return "".join(found)

    async def report(self, *hosts: str, **changes: Any) -> None:
        """These hosts have applied what is published for them, and are well; or else what is given."""
        for host in hosts:
            note = (await self.world.notes())[host]
            document = (await self.world.documents())[host]
            health = changes.pop("health", "healthy") if len(hosts) == 1 else changes.get("health", "healthy")
            reason = changes.pop("reason", "") if len(hosts) == 1 else ""
            status = Status(
                host=host,
                sync="synced",
                health=health,
                mode=document.mode,
                accepted_epoch=document.epoch,
                accepted_revision=document.revision,
                applied_revision=document.revision,
                document_digest=digest_of(note),
                conditions=(
                    Condition(type="Ready", status="True", reason="Converged", message="", since=self.world.now),
                ),
                services=tuple(
                    ServiceStatus(
                        name=service.name,
                        kind=service.kind,
                        desired_state=service.state,
                        health=health,
                        observation=Observation(
                            service=service.name,
                            state={"healthy": "running", "degraded": "degraded"}.get(health, "stopped"),
                            seen_at=self.world.now,
                            reason=reason,
                        ),
                    )
                    for service in document.services
                ),
            )
            await self.say(replace(status, **{k: v for k, v in changes.items() if k != "health"}))

    async def say(self, status: Status) -> None:
        """A host says this."""
        self.seq += 1
        key = digest_of(f"{status.host}{self.seq}".encode())
        report = Report(
            schema="towline.report/1", id=key, host=status.host, seq=self.seq, at=self.world.now, status=status
        )
        async with transaction(self.world.engine) as connection:
            await store(connection, [(status.host, Delivery(reports=(report,)))], self.world.now)


async def formed(world: World) -> Roll:
    """The cluster, declared; its members have reported it, and are well."""
    roll = Roll(world)
    await roll.declare()
    await roll.report("a", "b", "c")
    return roll


async def begun(world: World) -> Roll:
    """The same, and then version 2 was declared: it is b's turn."""
    roll = await formed(world)
    await roll.declare(version="2")
    return roll


def reasons(done: Publication) -> dict[str, list[str]]:
    """Why each host goes on as it is."""
    return {host: [hold.sentence for hold in holds] for host, holds in done.held.items()}
