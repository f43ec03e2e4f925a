"""Whether a kind holds data: purge is planned, and data counted, by what its `meta` says."""

import subprocess

import msgspec
import pytest

from desired_state.contract import KindMeta
from tests.scripts.calling import KINDS, SCRIPTS
from tests.scripts.kinds.case import case_of, has_software

SCRATCH_ONLY = {"jdk", "nginx", "node_exporter", "sentinel"}
"""What these leave below data/ is made anew at the next start: nobody would miss it."""


def meta_of(kind: str) -> KindMeta:
    command = ["bash", str(SCRIPTS / f"{kind}ctl.sh"), "meta"]
    return msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=KindMeta)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if has_software(kind)])
def test_meta_says_what_the_real_run_finds(kind: str) -> None:
    """A kind whose data the run reads back holds some; one that says that it holds none keeps none."""
    says, case = meta_of(kind).holds_data, case_of(kind)
    assert says is (kind not in SCRATCH_ONLY)
    assert says or case.real.read is None, "its data is read back"
