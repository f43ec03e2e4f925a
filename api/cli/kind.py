"""Kinds of one's own: the first files of one, in the catalogue's repository."""

from pathlib import Path

import click

from api.kinds.skeleton import first_files
from api.publish.bundle import shipped_folder
from desired_state.names import KIND_PATTERN, is_name

_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.group(help=__doc__)
def command() -> None:
    """The group."""


@command.command()
@click.argument("name")
@click.option(
    "--dir",
    "folder",
    type=_FOLDER,
    default=Path(),
    show_default="here",
    help="The catalogue's repository, checked out.",
)
def new(*, name: str, folder: Path) -> None:
    """Write scripts/NAMEctl.sh, a small service that works as it stands, and a catalogue entry that uses it.

    `towline-puller kind check` says whether the script keeps the contract.
    """
    if not is_name(KIND_PATTERN, name):
        raise click.ClickException(f"{name!r} is no name of a kind: small letters, digits and _, a letter first")
    if (shipped_folder() / f"{name}ctl.sh").exists():
        raise click.ClickException(f"towline ships a kind {name}; give yours another name")
    files = {folder / path: text for path, text in first_files(name).items()}
    there = [str(path) for path in files if path.exists()]
    if there:
        raise click.ClickException(f"{', '.join(there)} exists already; nothing was written")
    for path, text in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755 if path.suffix == ".sh" else 0o644)
        click.echo(f"wrote {path}")
