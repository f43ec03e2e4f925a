"""Packages: put into the backend's store, from where hosts fetch them by digest."""

import hashlib
from pathlib import Path

import click

from api.as_code.catalogue_files import file_of, write_entry
from api.backend import open_engine, utc_now
from api.cli._running import line_of, run, settings_of
from api.publish.artifacts import ArtifactStore, chunks_of
from api.reading import Unreadable, read
from api.services.artifacts import keep_package
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
@click.pass_obj
def add(config: Path | None, *, file: Path, name: str, version: str, urls: tuple[str, ...], write: Path | None) -> None:
    """Put FILE into the store and print the catalogue's entry for it."""
    entry = _entry(file, name, version, urls)
    run(_keep(settings_of(config), file, entry))
    if write is None:
        click.echo(write_entry(entry), nl=False)
        return
    path = write / file_of(entry)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(write_entry(entry), encoding="utf-8")
    click.echo(f"wrote {path}", err=True)


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
