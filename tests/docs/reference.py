"""The reference pages of the documentation, made from the code: python -m tests.docs.reference

What a command, a setting or an endpoint does is said once, where it is defined; `test_reference.py` keeps the pages
and the code the same.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import click
import msgspec
from msgspec import Struct
from msgspec.structs import FieldInfo, fields

import api.settings
import puller.settings
from api.app import create_app
from api.cli import main as towline
from puller.cli import main as towline_puller
from tests.docs.pages import DOCS

FOLDER = DOCS / "reference"
_MADE = "<!-- Made from the code by `nox -s reference`. -->\n\n"
_HTTP_API = f"""{_MADE}Requests and answers are JSON; the backend serves their full description as OpenAPI at
`/schema/openapi.json`. Errors are problem details (RFC 9457) that list every problem with its JSON pointer; lists are
paged; edits carry `If-Match` with the `ETag` that was read."""


def pages() -> dict[Path, str]:
    """Every page and its text."""
    made: dict[str, Callable[[], str]] = {"commands.md": _commands, "settings.md": _settings, "http-api.md": _http_api}
    return {FOLDER / name: text().strip() + "\n" for name, text in made.items()}


def _commands() -> str:
    parts = [f"# Commands\n\n{_MADE}`towline` is the backend's side, `towline-puller` the host's."]
    for name, program in (("towline", towline), ("towline-puller", towline_puller)):
        parts += [_command(path, command) for path, command in walk(name, program)]
    return "\n\n".join(parts)


def walk(path: str, command: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command and all below it, each with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None, name
            yield from walk(f"{path} {name}", below)


def _command(path: str, command: click.Command) -> str:
    context = click.Context(command, info_name=path)
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    level = "##" if " " not in path else "###"
    options = [parameter for parameter in command.params if isinstance(parameter, click.Option)]
    lines = [f"{level} {path}", "", inspect.cleandoc(command.help or ""), "", f"    {usage}"]
    if options:
        lines += ["", "| option | |", "| --- | --- |", *(_option(option) for option in options)]
    if command.epilog:
        lines += ["", command.epilog]
    return "\n".join(lines)


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
    value = "" if option.is_flag else f" {_value_of(option)}"
    variable = f" (`{option.envvar}`)" if isinstance(option.envvar, str) else ""
    default = f" Default: `{option.default}`." if option.show_default and isinstance(option.default, str | Path) else ""
    return f"| {names}{value}{variable} | {_cell(option.help or '')}{default} |"


def _value_of(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return _cell(" or ".join(f"`{choice}`" for choice in option.type.choices))
    return f"`{option.type.name}`"


def _settings() -> str:
    backend = "\n\n".join(
        _section(section.name, section.type, section.name) for section in fields(api.settings.Settings)
    )
    agent = _section("", puller.settings.Settings, "")
    return f"""# Settings

{_MADE}## The backend

`/etc/towline/towline.toml`, another file by `--config` or `TOWLINE_CONFIG`. Each key is also a variable of the
environment, `TOWLINE_<SECTION>_<KEY>`, which outweighs the file. An unknown key is an error.

{backend}

## The puller

`etc/puller.toml` under the prefix; enrolment writes it. Each key is also a variable, `TOWLINE_PULLER_<KEY>`.

{agent}"""


def _section(title: str, kind: Any, path: str) -> str:
    struct, said = _struct(kind), _field_texts(_struct(kind))
    # "`[server]`: where ..." says its name once more than a page needs.
    intro = inspect.cleandoc(struct.__doc__ or "").rpartition("`: ")[2]
    intro = intro[:1].upper() + intro[1:]
    parts = [f"### `[{title}]`\n\n{intro}" if title else "", "| key | default | |\n| --- | --- | --- |"]
    nested = []
    for field in fields(struct):
        if _struct(field.type) is not None:
            nested.append(_section(f"{path}.{field.name}".strip("."), field.type, f"{path}.{field.name}".strip(".")))
        else:
            parts[-1] += f"\n| `{field.name}` | {_default(field)} | {_cell(said.get(field.name, ''))} |"
    return "\n\n".join(part for part in (*parts, *nested) if part and not part.endswith("| --- | --- | --- |"))


def _struct(kind: Any) -> Any:
    options = (kind, *get_args(kind))
    return next((one for one in options if isinstance(one, type) and issubclass(one, Struct)), None)


def _default(field: FieldInfo) -> str:
    if field.required:
        return "must be set"
    if field.default is msgspec.NODEFAULT or field.default in (None, "", Path(), ()):
        return ""
    return f"`{str(field.default).lower() if isinstance(field.default, bool) else field.default}`"


def _field_texts(struct: type[Struct]) -> dict[str, str]:
    """The sentence below each field: Python keeps it in the source alone."""
    found: dict[str, str] = {}
    for parent in reversed([one for one in struct.__mro__ if issubclass(one, Struct) and one is not Struct]):
        body = ast.parse(textwrap.dedent(inspect.getsource(parent))).body[0]
        assert isinstance(body, ast.ClassDef)
        for above, below in zip(body.body, body.body[1:], strict=False):
            if isinstance(above, ast.AnnAssign) and isinstance(above.target, ast.Name):
                text = ast.get_docstring(ast.Module(body=[below], type_ignores=[]))
                found |= {above.target.id: text} if text else {}
    return found


def _http_api() -> str:
    schema = create_app(api.settings.Settings()).openapi_schema.to_schema()
    rows = [
        f"| `{method.upper()} {path}` | {_cell(operation.get('description') or operation.get('summary') or '')} |"
        for path, item in sorted(schema["paths"].items())
        for method, operation in item.items()
        if method in ("get", "post", "put", "patch", "delete") and not path.startswith("/schema")
    ]
    rows = sorted(rows, key=lambda row: row.split()[2])
    return "\n".join(
        [
            "# HTTP API",
            "",
            _HTTP_API,
            "",
            "| endpoint | |",
            "| --- | --- |",
            *rows,
        ]
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for page, text in pages().items():
        page.write_text(text, encoding="utf-8")
