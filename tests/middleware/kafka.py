"""Kafka from Maven's jars, in the layout of upstream's archive: libs/ is upstream's, bin/ is ours.

Upstream's own scripts are in no jar. Ours are as thin as can be; kafkactl.sh starts the server without any, and uses
`kafka-storage.sh` and `kafka-features.sh` as upstream has them.
"""

from hashlib import sha256
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.maven import jars_of

_KNOWN = {
    "3.9.1": "5631c61356d55611c158291a69ad028f3c4fed5d0a610c62a0853c65c89d10f6",
    "4.1.0": "0de0471a4c7a9e734c166822a26a4bb064eb81cb2c7a8b1345912cad78997a7b",
}
"""The sha256 of each version's kafka_2.13 jar."""
_LOGGING = ("org.apache.logging.log4j:log4j-slf4j-impl:2.24.3", "org.apache.logging.log4j:log4j-core:2.24.3")
_TOOLS = {
    "kafka-storage": "kafka.tools.StorageTool",
    "kafka-features": "org.apache.kafka.tools.FeatureCommand",
    "kafka-topics": "org.apache.kafka.tools.TopicCommand",
}
_RUN = """\
#!/bin/sh
base=$(cd "$(dirname "$0")/.." && pwd)
exec "${JAVA_HOME:-/usr}/bin/java" ${KAFKA_HEAP_OPTS:--Xmx256m} ${KAFKA_OPTS:-} -cp "$base/libs/*" "$@"
"""


def kafka_archive(version: str = "4.1.0", cache: Path | None = None) -> Package:
    """Kafka: 3.9.1 or 4.1.0."""
    if version not in _KNOWN:
        raise Unavailable(f"kafka {version}: not known here; known are {', '.join(_KNOWN)}")
    top = f"kafka_2.13-{version}"
    kept = (cache or cache_folder()) / f"{top}.tar.gz"
    if kept.exists():
        return package_of("kafka", version, kept)
    wanted = (f"org.apache.kafka:kafka_2.13:{version}", f"org.apache.kafka:kafka-tools:{version}")
    jars = jars_of(wanted + (_LOGGING if version.startswith("4.") else ()), cache)
    digest = sha256(jars[f"{top}.jar"]).hexdigest()
    if digest != _KNOWN[version]:
        raise Unavailable(f"{top}.jar is sha256:{digest}, not the file that is known")
    files = {f"libs/{name}": (data, 0o644) for name, data in jars.items()}
    files["bin/kafka-run-class.sh"] = (_RUN.encode(), 0o755)
    for name, main in _TOOLS.items():
        text = f'#!/bin/sh\nexec "$(dirname "$0")/kafka-run-class.sh" {main} "$@"\n'
        files[f"bin/{name}.sh"] = (text.encode(), 0o755)
    files["config/server.properties"] = (b"# Not used: towline writes its own.\n", 0o644)
    return made_archive("kafka", version, files, cache, top=top)
