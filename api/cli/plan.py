"""Show what a working tree would do to the fleet, before it is merged."""

import asyncio
import sys
from pathlib import Path

import click
import msgspec

from api.as_code.catalogue_source import FolderSource, Tree
from api.backend import open_engine, utc_now
from api.cli._running import run, settings_of
from api.database import snapshot
from api.plans.fleet_plan import FleetPlan
from api.plans.plan_client import ask
from api.plans.plan_text import as_markdown, as_text
from api.publish.bundle import read_scripts, shipped_folder
from api.services import secrets
from api.services.importing import judge
from api.services.planning import plan_tree
from api.settings import Settings

PROBLEMS = 1
CHANGES = 2
_FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(help=f"{__doc__}\n\nExit code: 0 nothing would change, 2 something would, 1 DIR has problems.")
@click.argument("folder", metavar="[DIR]", default=".", type=_FOLDER)
@click.option("--format", "form", type=click.Choice(["text", "markdown", "json"]), default="text", show_default=True)
@click.option("--server", metavar="URL", help="Ask this backend; without it, the database of the settings is read.")
@click.option("--token-file", type=_FILE, help="With --server: a file that holds an API token.")
@click.option("--ca-file", type=_FILE, help="With --server: CAs in PEM form, where the system's do not know it.")
@click.pass_obj
def command(
    config: Path | None, *, folder: Path, form: str, server: str | None, token_file: Path | None, ca_file: Path | None
) -> None:
    """The command."""
    if server and not token_file:
        raise click.UsageError("--server needs --token-file")
    if server and token_file:
        plan = run(asyncio.to_thread(_ask, folder, server, token_file, ca_file))
    else:
        plan = run(_plan(folder, settings_of(config)))
    click.echo(_shown(plan, form), nl=False)
    sys.exit(PROBLEMS if plan.refused else CHANGES if plan.changes else 0)


async def _plan(folder: Path, settings: Settings) -> FleetPlan:
    async with open_engine(settings) as engine:
        async with snapshot(engine) as connection:
            # Not yet an error: this database need not be the backend's that will import the tree.
            there = await secrets.known(connection, severity="warning")
        judged = await asyncio.to_thread(judge, _tree(folder), read_scripts(shipped_folder()), there)
        return await plan_tree(engine, judged, now=utc_now())


def _ask(folder: Path, server: str, token_file: Path, ca_file: Path | None) -> FleetPlan:
    tree = _tree(folder)
    judged = judge(tree, read_scripts(shipped_folder()))
    if judged.scripts and not judged.is_valid:
        return FleetPlan(problems=judged.problems)  # its scripts cannot be described to the server
    kinds = judged.kinds if judged.scripts else None
    token = token_file.read_text(encoding="utf-8").strip()
    return ask(server, token, tree.files, kinds, ca_file)


def _tree(folder: Path) -> Tree:
    tree = FolderSource(folder).read("")
    if tree is None:
        raise AssertionError("a folder is never unchanged against nothing")
    return tree


def _shown(plan: FleetPlan, form: str) -> str:
    if form == "json":
        return msgspec.json.format(msgspec.json.encode(plan), indent=2).decode() + "\n"
    return as_markdown(plan) if form == "markdown" else as_text(plan)
