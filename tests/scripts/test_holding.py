"""Whether a kind holds data: purge is planned, and data counted, by what its `meta` says."""

import subprocess

import msgspec
import pytest

from desired_state.contract import KindMeta
from tests.scripts.calling import KINDS, SCRIPTS
from tests.scripts.kinds.case import case_of, has_software


def meta_of(kind: str) -> KindMeta:
    command = ["bash", str(SCRIPTS / f"{kind}ctl.sh"), "meta"]
    return msgspec.json.decode(subprocess.run(command, capture_output=True, check=True).stdout, type=KindMeta)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if has_software(kind)])
def test_data_that_the_real_run_reads_back_is_said_in_meta(kind: str) -> None:
    """Else a purge would never be planned for it."""
    assert meta_of(kind).holds_data or case_of(kind).real.read is None


@pytest.mark.parametrize(("kind", "holds"), [("nacos", True), ("sentinel", False), ("jdk", False)])
def test_who_holds_data(kind: str, holds: bool) -> None:
    """Nacos does with a database, too; what a dashboard leaves below data/ is made anew at its next start."""
    assert holds is meta_of(kind).holds_data
