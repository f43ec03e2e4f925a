"""Nacos from Maven's jars, in the layout of upstream's archive: target/nacos-server.jar, conf/, bin/.

Upstream publishes no server to Maven; others have done so (org.jeecgframework 2.2.3 and 2.3.2, io.github.pig-mesh
3.1.0), without an archive. The one jar that starts by itself is put together here, as upstream's build does.
"""

import io
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from msgspec import Struct

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.maven import jars_of
from tests.middleware.spring import boot_jar


class Published(Struct, frozen=True, kw_only=True):
    """Where one version comes from."""

    group: str
    spring_boot: str
    console: str
    """The sha256 of its nacos-console jar."""
    as_version: str = ""
    """What its publisher calls it, where that is something else."""


_KNOWN = {
    "2.2.3": Published(
        group="org.jeecgframework.nacos",
        spring_boot="2.6.14",
        console="beba194ffdfd01a23398c82fd1ba42683628af5302b3e5b26b0bb807f1f1d4d5",
    ),
    "2.3.2": Published(
        group="org.jeecgframework.nacos",
        spring_boot="2.7.18",
        console="21c12bd39424dec0a8ec02cc727e7bcf5b4fde7cab7523ae63d165152633f339",
    ),
    "3.1.0": Published(
        group="io.github.pig-mesh.nacos",
        spring_boot="3.4.10",
        console="a45d42f18c752ef9c711afe9359a210813f53ab485c372b1032a55a31cf18033",
        as_version="3.1.0-bugfix",
    ),
}
_MAIN = "com.alibaba.nacos.Nacos"
_LAUNCHER = "NacosLauncher"
_LAUNCHER_SOURCE = f"""\
import com.alibaba.nacos.core.listener.startup.NacosStartUpManager;
import org.springframework.boot.WebApplicationType;
import org.springframework.boot.builder.SpringApplicationBuilder;
import org.springframework.context.ConfigurableApplicationContext;

/** Core, then the server's web, then the console's: as the bootstrap of Nacos 3, which nobody has published. */
public class {_LAUNCHER} {{
  public static void main(String[] given) {{
    System.setProperty("nacos.deployment.type", System.getProperty("nacos.deployment.type", "merged"));
    NacosStartUpManager.start("core");
    ConfigurableApplicationContext core =
        new SpringApplicationBuilder(com.alibaba.nacos.NacosServerBasicApplication.class)
            .web(WebApplicationType.NONE).run(given);
    NacosStartUpManager.start("web");
    new SpringApplicationBuilder(com.alibaba.nacos.NacosServerWebApplication.class).parent(core).run(given);
    NacosStartUpManager.start("console");
    new SpringApplicationBuilder(com.alibaba.nacos.console.NacosConsole.class).parent(core).run(given);
  }}
}}
"""
_SCHEMAS = ("META-INF/mysql-schema.sql", "META-INF/nacos-db.sql", "META-INF/derby-schema.sql")


def nacos_archive(version: str = "2.3.2", cache: Path | None = None) -> Package:
    """Nacos: 2.2.3, 2.3.2 or 3.1.0."""
    if version not in _KNOWN:
        raise Unavailable(f"nacos {version}: not known here; known are {', '.join(_KNOWN)}")
    kept = (cache or cache_folder()) / f"nacos-server-{version}.tar.gz"
    if kept.exists():
        return package_of("nacos", version, kept)
    jars = _jars(version, cache)
    main, classes = (_LAUNCHER, _compiled(jars)) if version.startswith("3.") else (_MAIN, {})
    # Two jars hold the package of hessian: without this order the server dies at its start.
    whole = boot_jar(
        jars, main=main, first=tuple(name for name in jars if name.startswith("hessian-4.")), classes=classes
    )
    files = {"target/nacos-server.jar": (whole, 0o644), "conf/application.properties": (_NOT_USED, 0o644)}
    files |= {f"conf/{name}": (data, 0o644) for name, data in _conf(jars).items()}
    files["bin/startup.sh"] = (b"#!/bin/sh\necho 'towline starts Nacos without this'\nexit 1\n", 0o755)
    return made_archive("nacos", version, files, cache, top=f"nacos-server-{version}")


_NOT_USED = b"# Not used: towline writes its own.\n"


def _jars(version: str, cache: Path | None) -> dict[str, bytes]:
    known = _KNOWN[version]
    its = known.as_version or version
    wanted = [f"{known.group}:nacos-console:{its}", f"org.springframework.boot:spring-boot-loader:{known.spring_boot}"]
    if version.startswith("3."):
        wanted.append(f"{known.group}:nacos-server:{its}")
    # Nacos 3 says itself which versions fit each other.
    bom = "" if version.startswith("3.") else f"org.springframework.boot:spring-boot-dependencies:{known.spring_boot}"
    jars = jars_of(tuple(wanted), cache, versions=bom)
    digest = sha256(jars[f"nacos-console-{its}.jar"]).hexdigest()
    if digest != known.console:
        raise Unavailable(f"nacos-console-{its}.jar is sha256:{digest}, not the file that is known")
    return jars


def _conf(jars: Mapping[str, bytes]) -> dict[str, bytes]:
    """What upstream has in conf/: the configuration of the log, and the tables of its database."""
    found = {}
    for name in sorted(jars):
        if not name.startswith(("nacos-core-", "nacos-config-")):
            continue
        with zipfile.ZipFile(io.BytesIO(jars[name])) as jar:
            for path in set(_SCHEMAS) & set(jar.namelist()):
                found[Path(path).name] = jar.read(path)
            if "META-INF/logback/nacos.xml" in jar.namelist():
                found["nacos-logback.xml"] = jar.read("META-INF/logback/nacos.xml")
    if "nacos-db.sql" in found:  # as it was called before 2.3 inside; upstream's archive has had one name since 2.2
        found["mysql-schema.sql"] = found.pop("nacos-db.sql")
    return found


def _compiled(jars: Mapping[str, bytes]) -> dict[str, bytes]:
    compiler = shutil.which("javac")
    if compiler is None:
        raise Unavailable("nacos 3: there is no javac on this machine (Debian's package openjdk-17-jdk-headless)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / f"{_LAUNCHER}.java").write_text(_LAUNCHER_SOURCE)
        for jar, data in jars.items():
            (folder / jar).write_bytes(data)
        command = [compiler, "--release", "17", "-cp", f"{folder}/*", "-d", name, f"{folder}/{_LAUNCHER}.java"]
        said = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        if said.returncode != 0:
            raise Unavailable(f"nacos 3: its launcher cannot be compiled: {said.stderr[:400]}")
        return {f"{_LAUNCHER}.class": (folder / f"{_LAUNCHER}.class").read_bytes()}
