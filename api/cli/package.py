"""Packages: put into the backend's store, from where hosts fetch them by digest; or one file of them for a site."""

import asyncio
import hashlib
import sys
from pathlib import Path

import click

from api.as_code.catalogue_files import file_of, write_entry
from api.backend import open_engine, utc_now
from api.cli._running import line_of, run, settings_of
from api.errors import Refused
from api.publish.archive_layout import layout_of
from api.publish.artifacts import ArtifactStore, chunks_of
from api.publish.bundle import read_scripts, shipped_folder
from api.publish.site_archive import Contents, Told, write_site_archive
from api.reading import Unreadable, read
from api.services.agents import PACKAGE as AGENT
from api.services.artifacts import keep_package
from api.services.catalogue import kinds
from api.services.site_archives import Asked, site_contents
from api.settings import Settings
from desired_state.catalogue import PackageEntry

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.argument("file", type=_FILE)
@click.option("--name", required=True, help="The package, e.g. valkey.")
@click.option("--version", required=True, help="Its version, e.g. 8.0.1.")
@click.option("--url", "urls", multiple=True, help="Where hosts find it besides here; may be given more than once.")
@click.option("--write", metavar="DIR", type=_FOLDER, help="Write the entry below DIR/catalogue, not to stdout.")
@click.option("--kind", help="The kind that installs it: FILE must hold what that kind runs.")
@click.option("--role", help="What it is for in that kind, e.g. server; needed where the kind has several.")
@click.option("--unchecked", is_flag=True, help="Take a file that is no archive: a kind of your own knows it.")
@click.pass_obj
def add(
    config: Path | None,
    *,
    file: Path,
    name: str,
    version: str,
    urls: tuple[str, ...],
    write: Path | None,
    kind: str | None,
    role: str | None,
    unchecked: bool,
) -> None:
    """Put FILE into the store and print the catalogue's entry for it.

    FILE is looked into first, and all that a host would refuse is told at once: an archive that is damaged, leads out,
    or holds devices; with --kind, one without the program that the kind runs.
    """
    entry, settings = _entry(file, name, version, urls), settings_of(config)
    if not unchecked:
        _judge(file, run(_wanted(settings, kind, role)))
    run(_keep(settings, file, entry))
    if write is None:
        click.echo(write_entry(entry), nl=False)
        return
    path = write / file_of(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_entry(entry), encoding="utf-8")
    click.echo(f"wrote {path}", err=True)


@command.command()
@click.argument("target", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--host", "hosts", multiple=True, help="Only what this host uses; may be given more than once.")
@click.option("--service", "services", multiple=True, help="Only what this service uses; may be given more than once.")
@click.option("--documents", is_flag=True, help="With the signed documents, for hosts enrolled with --directory.")
@click.option("--from", "places", multiple=True, type=_FOLDER, help="A folder with package files not in the store.")
@click.pass_obj
def bundle(
    config: Path | None,
    *,
    target: Path,
    hosts: tuple[str, ...],
    services: tuple[str, ...],
    documents: bool,
    places: tuple[Path, ...],
) -> None:
    """Write all that a site without a way out needs into FILE (a tar).

    Script bundles, agentctl.sh, the newest archive of the agent, and every package of the catalogue, with an index and
    their digests. Where a file is not at hand nothing is written, and each is named with how to add it. FILE appears
    whole, or stays what it was; the same content makes the same bytes.
    """
    asked = Asked(hosts=hosts, services=services, documents=documents, places=places)
    contents = run(_contents(settings_of(config), asked))
    with click.progressbar(length=contents.size, label=f"writing {target}", file=sys.stderr) as bar:
        digest = run(_written(contents, target, bar.update))
    packages = [piece for piece in contents.index.files if piece.kind == "package"]
    if not any(piece.package == AGENT for piece in packages):
        click.echo(f"no archive of the agent is known: towline package add ... --name {AGENT}", err=True)
    count = len(contents.index.files)
    click.echo(f"{target}: {count} files ({len(packages)} packages), {contents.size} bytes", err=True)
    click.echo(digest)


async def _contents(settings: Settings, asked: Asked) -> Contents:
    store = ArtifactStore(settings.state_folder / "artifacts")
    async with open_engine(settings) as engine:
        return await site_contents(engine, store, read_scripts(shipped_folder()), asked)


async def _written(contents: Contents, target: Path, told: Told) -> str:
    return await asyncio.to_thread(write_site_archive, contents, target, told)


async def _wanted(settings: Settings, kind: str | None, role: str | None) -> tuple[tuple[str, ...], ...]:
    """What a file for that role of that kind must hold. Raises Refused where there is none such."""
    if kind is None:
        return ()
    async with open_engine(settings) as engine:
        known = await kinds(engine, read_scripts(shipped_folder()))
    if kind not in known:
        raise Refused(f"there is no kind {kind}: {', '.join(sorted(known))}")
    roles = {one.role: one for one in known[kind].packages}
    named = role or (next(iter(roles)) if len(roles) == 1 else "")
    if named not in roles:
        raise Refused(f"kind {kind} has no role {named or '(say --role)'}: {', '.join(roles) or 'it has no packages'}")
    return roles[named].holds


def _judge(file: Path, wanted: tuple[tuple[str, ...], ...]) -> None:
    layout = layout_of(file, wanted)
    if layout.problems:
        told = "\n".join(f"{file.name} {problem}" for problem in layout.problems)
        raise click.ClickException(f"{told}\nnothing was added; --unchecked takes the file as it is")
    click.echo(f"{file.name}: {layout.told}", err=True)


def _entry(file: Path, name: str, version: str, urls: tuple[str, ...]) -> PackageEntry:
    """The entry of a file, its names checked as those of a catalogue are."""
    with file.open("rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    size = file.stat().st_size
    told = {"package": name, "version": version, "file": file.name, "sha256": digest, "size": size, "urls": list(urls)}
    try:
        return read(told, PackageEntry)
    except Unreadable as error:
        raise click.ClickException("\n".join(line_of(problem) for problem in error.problems)) from error


async def _keep(settings: Settings, file: Path, entry: PackageEntry) -> None:
    store = ArtifactStore(settings.state_folder / "artifacts")
    async with open_engine(settings) as engine:
        await keep_package(engine, store, chunks_of(file), entry, now=utc_now())
