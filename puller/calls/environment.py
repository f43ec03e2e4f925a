"""The environment of a script call, built from nothing. See docs/scripts/contract.md."""

from collections.abc import Mapping
from pathlib import Path

from desired_state.contract import KindMeta
from desired_state.document import Package, Service
from desired_state.names import ParameterName, Role
from desired_state.parameters import monitoring_values, with_defaults
from puller.ports import Known

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def environment(
    service: Service,
    meta: KindMeta,
    *,
    prefix: Path,
    home: Path,
    step: str,
    timeout_s: int,
    packages: Mapping[Role, Path],
    secrets: Mapping[ParameterName, Path],
) -> dict[str, str]:
    """What the script sees, and nothing else of ours. `packages`: where each package file lies, or would lie;
    `secrets`: where each opened secret lies for the length of this call."""
    given = {
        "PATH": PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TOWLINE_PREFIX": str(prefix),
        "TOWLINE_SERVICE": service.name,
        "TOWLINE_KIND": service.kind,
        "TOWLINE_VERSION": service.version,
        "TOWLINE_STATE": service.state,
        "TOWLINE_STEP": step,
        "TOWLINE_TIMEOUT_S": str(timeout_s),
    }
    given |= {f"TOWLINE_PARAM_{name}": text for name, text in with_defaults(service.parameters, meta).items()}
    given |= {f"TOWLINE_MONITORING_{name}": text for name, text in monitoring_values(service.monitoring, meta).items()}
    given |= {f"TOWLINE_SECRET_{name}": str(path) for name, path in secrets.items()}
    for role, package in service.packages.items():
        given |= _package(role, package, packages[role])
    return given


def told(known: Known) -> dict[str, str]:
    """What a look is told beside it."""
    given = {"TOWLINE_CONFIG": known.config, "TOWLINE_COMMAND": known.command}
    return {name: value for name, value in given.items() if value}


def _package(role: Role, package: Package, path: Path) -> dict[str, str]:
    return {
        f"TOWLINE_PACKAGE_{role}": str(path),
        f"TOWLINE_PACKAGE_{role}_NAME": package.name,
        f"TOWLINE_PACKAGE_{role}_VERSION": package.version,
        f"TOWLINE_PACKAGE_{role}_FILE": package.file,
        f"TOWLINE_PACKAGE_{role}_DIGEST": package.digest,
    }
