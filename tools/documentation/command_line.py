"""The page on the command line, from the commands themselves: usage, arguments, options, defaults, variables."""

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import typer
from page_parts import page, table
from typer.core import TyperArgument, TyperGroup, TyperOption

from monai_app.cli import app

Parameter = TyperArgument | TyperOption

INTRODUCTION = """\
Every command answers `--help` with the same text. A command that refuses what it is given ends with exit code 2, and
with 1 where the machine fails it, as a full disk does."""


def command_line_page() -> str:
    """Return the page."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return page("Command line", INTRODUCTION, *map(_section, group.commands.values()))


def _section(command: Any) -> str:
    usage = f"monai-app {command.name} {' '.join(('[OPTIONS]', *map(_argument, command.params)))}".rstrip()
    options = table(("argument or option", "meaning", "default"), map(_row, command.params))
    return "\n\n".join((f"## monai-app {command.name}", command.help, f"```\n{usage}\n```", options))


def _argument(parameter: Parameter) -> str:
    """Name an argument as the usage does; nothing for an option."""
    if isinstance(parameter, TyperOption):
        return ""
    (name,) = _names(parameter)
    return name if parameter.required else f"[{name}]"


def _row(parameter: Parameter) -> tuple[str, str, str]:
    names = " ".join(f"`{name}`" for name in _names(parameter))
    return names, " ".join(_meaning(parameter)), _default(parameter.default)


def _names(parameter: Parameter) -> Iterator[str]:
    if isinstance(parameter, TyperArgument):
        yield parameter.metavar or (parameter.name or "").upper()
        return
    value = "" if parameter.is_flag else f" {parameter.metavar or _kind(parameter.type_descriptor.annotation)}"
    for name in (*parameter.opts, *parameter.secondary_opts):
        yield f"{name}{value}"


def _kind(annotation: Any) -> str:
    """Say what a value is: ``INT``, or the choices in braces."""
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return f"{{{','.join(inside)}}}"
    if origin is not None:
        return _kind(inside[0])  # of a list, or of what may be left out
    return "TEXT" if annotation is str else str(annotation.__name__).upper()


def _meaning(parameter: Parameter) -> Iterator[str]:
    yield parameter.help or ""
    if parameter.required and isinstance(parameter, TyperOption):
        yield "Required."
    if parameter.envvar:
        variables = [parameter.envvar] if isinstance(parameter.envvar, str) else parameter.envvar
        yield f"Environment variable: {', '.join(f'`{name}`' for name in variables)}."


def _default(value: object) -> str:
    return "" if value in (None, False, (), []) else f"`{value}`"
