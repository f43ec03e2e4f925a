"""ZooKeeper from Maven's jars, in the layout of upstream's archive: lib/ is upstream's, there is no bin/ to have."""

from hashlib import sha256
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.maven import jars_of

_KNOWN = {
    "3.8.4": "2d77b152039e7f85dc5438a9304febff86a2f3e55c88976a8be309af39028e97",
    "3.9.3": "ad6570105768d18382a762325b4460368b7089a5a77c053e682b17942e0e72b5",
}
"""The sha256 of each version's own jar."""
_BESIDE = (  # what upstream's archive has, and the pom calls provided or leaves out
    "io.dropwizard.metrics:metrics-core:4.1.12.1",
    "org.xerial.snappy:snappy-java:1.1.10.5",
    "ch.qos.logback:logback-classic:1.2.13",
    "commons-cli:commons-cli:1.5.0",
    "jline:jline:2.14.6",
)


def zookeeper_archive(version: str = "3.9.3", cache: Path | None = None) -> Package:
    """ZooKeeper: 3.8.4 or 3.9.3."""
    if version not in _KNOWN:
        raise Unavailable(f"zookeeper {version}: not known here; known are {', '.join(_KNOWN)}")
    top = f"apache-zookeeper-{version}-bin"
    kept = (cache or cache_folder()) / f"{top}.tar.gz"
    if kept.exists():
        return package_of("zookeeper", version, kept)
    jars = jars_of((f"org.apache.zookeeper:zookeeper:{version}", *_BESIDE), cache)
    digest = sha256(jars[f"zookeeper-{version}.jar"]).hexdigest()
    if digest != _KNOWN[version]:
        raise Unavailable(f"zookeeper-{version}.jar is sha256:{digest}, not the file that is known")
    files = {f"lib/{name}": (data, 0o644) for name, data in jars.items() if "netty-tcnative" not in name}
    files["conf/zoo_sample.cfg"] = (b"# Not used: towline writes its own.\n", 0o644)
    files["bin/zkServer.sh"] = (b"#!/bin/sh\necho 'towline starts ZooKeeper without this'\nexit 1\n", 0o755)
    return made_archive("zookeeper", version, files, cache, top=top)
