"""The plan of a change for a fleet: 1,000 hosts with 20 services each, everything to be installed."""

from collections.abc import Iterator

from desired_state.document import decode, encode
from desired_state.plan import make_plan
from tests.bench.fleet import KIND, document, host_names, nothing_there
from tests.bench.measurement import Aim, Measurement, side_by_side_s

HOSTS = 1_000
SERVICES = 20


def measure() -> Iterator[Measurement]:
    """Planning, beside reading and writing the same documents."""
    documents = [document(host, services=SERVICES) for host in host_names(HOSTS)]
    published = [encode(one) for one in documents]
    kinds = {"thing": KIND}

    def plan() -> None:
        steps = sum(len(make_plan(one, {}, nothing_there(one), kinds).steps) for one in documents)
        assert steps == HOSTS * SERVICES * 3  # install, configure, start

    def reread() -> None:
        for data in published:
            decode(data)

    value, reference = side_by_side_s(plan, reread, times=3)
    yield Measurement(
        name="plan 1,000 hosts × 20 services",
        value=value,
        unit="s",
        reference=reference,
        reference_name="decoding their documents",
        aim=Aim(at_most=10),
    )
