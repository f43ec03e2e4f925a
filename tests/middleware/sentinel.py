"""The dashboard of Sentinel, as upstream publishes it: one jar.

0.1.1 is upstream's own; 1.8.3 was published to Maven by others (org.jeecgframework) without what it needs inside, and
is put together here as upstream's build does.
"""

import tempfile
from hashlib import sha256
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, package_of
from tests.middleware.maven import jars_of
from tests.middleware.spring import boot_jar

_KNOWN = {
    "0.1.1": "fdba860356ded18163fa8a57352254da2d5392ff71bc218e0155ca9af1d09469",
    "1.8.3": "28ece80003e942cbc869a497d59c592993be8c745f21b27f241864a4fe6ee10d",
}
"""The sha256 of each version's sentinel-dashboard jar."""
_SPRING_BOOT = "2.5.12"
_MAIN = "com.alibaba.csp.sentinel.dashboard.DashboardApplication"


def sentinel_jar(version: str = "1.8.3", cache: Path | None = None) -> Package:
    """The dashboard: 0.1.1 or 1.8.3."""
    if version not in _KNOWN:
        raise Unavailable(f"sentinel {version}: not known here; known are {', '.join(_KNOWN)}")
    name = f"sentinel-dashboard-{version}.jar"
    kept = (cache or cache_folder()) / name
    if not kept.exists():
        group = "com.alibaba.csp" if version == "0.1.1" else "org.jeecgframework.cloud"
        loader = f"org.springframework.boot:spring-boot-loader:{_SPRING_BOOT}"
        versions = f"org.springframework.boot:spring-boot-dependencies:{_SPRING_BOOT}"
        jars = jars_of((f"{group}:sentinel-dashboard:{version}", loader), cache, versions=versions)
        digest = sha256(jars[name]).hexdigest()
        if digest != _KNOWN[version]:
            raise Unavailable(f"{name} is sha256:{digest}, not the file that is known")
        _keep(kept, jars[name] if version == "0.1.1" else boot_jar(jars, main=_MAIN))
    return package_of("sentinel-dashboard", version, kept)


def _keep(path: Path, data: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as partial:
        partial.write(data)
    Path(partial.name).chmod(0o644)
    Path(partial.name).replace(path)
