"""The command `towline`. Each module beside this one is a command; none is imported before it is asked for."""

import ast
import pkgutil
from importlib import import_module
from pathlib import Path

import click

_FOLDER = Path(__file__).parent


class Modules(click.Group):
    """Commands by module: `api/cli/trust.py` holds `command`, which is `towline trust` (`import_` is `import`)."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The modules that do not start with an underscore."""
        names = (module.name for module in pkgutil.iter_modules([str(_FOLDER)]))
        return sorted(name.rstrip("_") for name in names if not name.startswith("_"))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command in that module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"api.cli.{_module(cmd_name)}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The first line of each module, read without importing it: help must not take a second."""
        rows = []
        for name in self.list_commands(ctx):
            tree = ast.parse((_FOLDER / f"{_module(name)}.py").read_text(encoding="utf-8"))
            rows.append((name, (ast.get_docstring(tree) or "").splitlines()[0]))
        with formatter.section("Commands"):
            formatter.write_dl(rows)


def _module(command: str) -> str:
    return f"{command}_" if (_FOLDER / f"{command}_.py").exists() else command


@click.group(cls=Modules, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="towline")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="TOWLINE_CONFIG",
    help="The settings file; /etc/towline/towline.toml when there is one.",
)
@click.pass_context
def main(ctx: click.Context, config: Path | None) -> None:
    """Keeps a fleet of virtual machines as declared: the backend's side."""
    ctx.obj = config
