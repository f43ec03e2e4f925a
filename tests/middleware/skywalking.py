"""SkyWalking's OAP from Maven's jars, in the layout of upstream's archive: oap-libs/ is upstream's, config/ is ours.

Upstream's config/ is in no jar. Ours names the modules that run without its rules, with the names that upstream's has
for what can be set. The web UI is in no registry: the stand-in of Java serves a page in its place.
"""

from hashlib import sha256
from pathlib import Path
from tempfile import NamedTemporaryFile

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.maven import jar_of, jars_of

_KNOWN = ("9.6.0", "10.1.0")
_CONFIG = Path(__file__).with_name("skywalking_config")
_EMPTY = ("dotnet-agent", "browser", "disable", "mesh", "tcp", "event")


def skywalking_archive(version: str = "10.1.0", cache: Path | None = None) -> Package:
    """OAP 9.6.0 or 10.1.0: `apache-skywalking-apm-bin/` with oap-libs, config and webapp."""
    if version not in _KNOWN:
        raise Unavailable(f"skywalking {version}: not known here; known are {', '.join(_KNOWN)}")
    top = f"apache-skywalking-apm-{version}"
    kept = (cache or cache_folder()) / f"{top}.{_config_digest()}.tar.gz"
    if kept.exists():
        return package_of("skywalking", version, kept)
    jars = jars_of((f"org.apache.skywalking:server-starter:{version}",), cache)
    if f"server-core-{version}.jar" not in jars:
        raise Unavailable(f"server-starter {version} brings no server-core-{version}.jar")
    files = {f"oap-libs/{name}": (data, 0o644) for name, data in jars.items()} | _settings()
    made = made_archive("skywalking", version, files, cache, top=top)
    made.path.rename(kept)
    return package_of("skywalking", version, kept)


def skywalking_agent_archive(version: str = "9.4.0", cache: Path | None = None) -> Package:
    """The Java agent without plugins, which no registry carries: `skywalking-agent/`."""
    kept = (cache or cache_folder()) / f"apache-skywalking-java-agent-{version}.tar.gz"
    if kept.exists():
        return package_of("skywalking-agent", version, kept)
    jar = jar_of(f"org.apache.skywalking:apm-agent:{version}", cache)
    config = (
        "agent.service_name=${SW_AGENT_NAME:Your_ApplicationName}\n"
        "collector.backend_service=${SW_AGENT_COLLECTOR_BACKEND_SERVICES:127.0.0.1:11800}\n"
        "logging.level=${SW_LOGGING_LEVEL:INFO}\n"
    )
    files = {
        "skywalking-agent.jar": (jar, 0o644),
        "config/agent.config": (config.encode(), 0o644),
        "plugins/README": (b"upstream's plugins are in no registry\n", 0o644),
        "activations/README": (b"as plugins\n", 0o644),
    }
    return made_archive("skywalking-agent", version, files, cache, top=f"apache-skywalking-java-agent-{version}")


def mysql_driver(version: str = "8.4.0", cache: Path | None = None) -> Package:
    """The JDBC driver for MySQL and MariaDB, which upstream's archive leaves out: one jar."""
    folder = cache or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"mysql-connector-j-{version}.jar"
    if not kept.exists():
        with NamedTemporaryFile(dir=folder, delete=False) as partial:
            partial.write(jar_of(f"com.mysql:mysql-connector-j:{version}", cache))
        Path(partial.name).rename(kept)
    return package_of("mysql-driver", version, kept)


def stand_in_skywalking(version: str, cache: Path | None = None) -> dict[str, Package]:
    """SkyWalking's folders and names, the web UI's too, and what runs them in place of Java."""
    ui = "serverPort: ${SW_SERVER_PORT:-8080}\noapServices: ${SW_OAP_ADDRESS:-http://localhost:12800}\n"
    files = _settings() | {
        f"oap-libs/server-core-{version}.jar": (b"no jar", 0o644),
        "webapp/skywalking-webapp.jar": (b"no jar", 0o644),
        "webapp/application.yml": (ui.encode(), 0o644),
    }
    java = Path(__file__).with_name("skywalking_stand_in.py").read_bytes()
    return {
        "server": made_archive("stand-in-skywalking", version, files, cache),
        "jdk": made_archive("stand-in-java-of-skywalking", "17.0.0", {"bin/java": (java, 0o755)}, cache),
    }


def _settings() -> dict[str, tuple[bytes, int]]:
    files = {
        f"config/{path.relative_to(_CONFIG)}": (path.read_bytes(), 0o644)
        for path in sorted(_CONFIG.rglob("*"))
        if path.is_file()
    }
    files |= {f"config/oal/{name}.oal": (b"", 0o644) for name in _EMPTY}
    for folder in ("lal", "log-mal-rules", "meter-analyzer-config", "openapi-definitions/none", "otel-rules"):
        files[f"config/{folder}/.kept"] = (b"", 0o644)
    for folder in ("general", "custom"):
        files[f"config/ui-initialized-templates/{folder}/.kept"] = (b"", 0o644)
    for folder in ("zabbix-rules", "telegraf-rules"):
        files[f"config/{folder}/.kept"] = (b"", 0o644)
    return files


def _config_digest() -> str:
    return sha256(b"".join(data for data, _ in _settings().values())).hexdigest()[:12]
