"""Elasticsearch and OpenSearch as upstream's own archives, of Maven's repositories: programs, layout and configuration.

| function | versions | what they are |
| --- | --- | --- |
| `elasticsearch_archive` | 5.6.16 | the whole of it |
| `elasticsearch_archive` | 7.17.29, 8.19.4 | with few modules, as their makers' tests use it; with security |
| `opensearch_archive` | 2.19.1, 3.6.0 | the same |

None brings a Java. Those with few modules answer `GET /` with 405: their health is asked at `/_cluster/health`.
"""

import stat
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from tests.middleware.archives import Package, Unavailable, cache_folder, made_archive, package_of
from tests.middleware.maven import artifact_of

_WHOLE = "org.elasticsearch.distribution.zip:elasticsearch"
_CORE = "org.elasticsearch.distribution.integ-test-zip:elasticsearch"
_OPENSEARCH = "org.opensearch.distribution.integ-test-zip:opensearch"
_KNOWN = {
    f"{_WHOLE}:5.6.16": "1f0c74e213c60f050ac3adf584d2bb5d5582932b93965d489bb3f3e9fff2b8bb",
    f"{_CORE}:7.17.29": "841ee00be1a72ba8e707b5a2fb55f23fe7a4184369b4585393238b1c903eedaf",
    f"{_CORE}:8.19.4": "553088b4c0f60f04d7c63da609aaeae372c483159f4fb8013599e91233aab0de",
    f"{_OPENSEARCH}:2.19.1": "af7152d8b7f6f1cee09d47276b32b70479fe6dd8cdbb61213f84eb7f8098b261",
    f"{_OPENSEARCH}:3.6.0": "a91faa1dc1cadc78cb278b4f63847e19e1627a4e9de698e14e7efc14ee37b286",
}
"""The sha256 of each zip."""
_NETTY = "/modules/transport-netty4/"
"""All that OpenSearch needs. 3.6.0 has more, some of which want more of a Java than the tests have."""


def elasticsearch_archive(version: str = "8.19.4", cache: Path | None = None) -> Package:
    """Elasticsearch: 5.6.16, 7.17.29 or 8.19.4."""
    return _archive("elasticsearch", f"{_WHOLE if version.startswith('5.') else _CORE}:{version}", cache)


def opensearch_archive(version: str = "2.19.1", cache: Path | None = None) -> Package:
    """OpenSearch: 2.19.1 or 3.6.0."""
    return _archive("opensearch", f"{_OPENSEARCH}:{version}", cache)


def _archive(name: str, coordinate: str, cache: Path | None) -> Package:
    version = coordinate.rpartition(":")[2]
    if coordinate not in _KNOWN:
        raise Unavailable(f"{coordinate}: not known here; known are {', '.join(_KNOWN)}")
    kept = (cache or cache_folder()) / f"{name}-{version}.tar.gz"
    if kept.exists():
        return package_of(name, version, kept)
    found = artifact_of(f"{coordinate}:zip", cache)
    digest = sha256(found.read_bytes()).hexdigest()
    if digest != _KNOWN[coordinate]:
        raise Unavailable(f"{found.name} is sha256:{digest}, not the file that is known")
    return made_archive(name, version, _members(found, few=name == "opensearch"), cache)


def _members(archive: Path, *, few: bool) -> Mapping[str, tuple[bytes, int]]:
    """Content and mode of each file below the archive's one folder, and the folder for plugins."""
    with zipfile.ZipFile(archive) as opened:
        files = {
            member.filename.partition("/")[2]: (opened.read(member), stat.S_IMODE(member.external_attr >> 16) or 0o644)
            for member in opened.infolist()
            if not member.is_dir() and (not few or "/modules/" not in member.filename or _NETTY in member.filename)
        }
    return files | {"plugins/": (b"", 0o755)}
