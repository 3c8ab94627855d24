"""The page on the command line, from the commands themselves: sections, usage, arguments and options."""

from collections.abc import Iterator

import typer
from page_parts import page, table
from typer.core import TyperGroup

from monai_app.cli import SECTIONS, STOPPED, app
from monai_app.cli.help import Command
from monai_app.errors import REFUSED

INTRODUCTION = f"""\
`--help` shows the same text for every command. The exit code is 0 after success, 1 if faults were found (`inspect`,
`verify`, `check`), 2 for a wrong command line, {REFUSED} if a command is refused or fails, and {STOPPED} after
Ctrl-C."""


def command_line_page() -> str:
    """Return the page."""
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    parts = [INTRODUCTION]
    for title, functions in SECTIONS.items():
        parts.append(f"## {title}")
        for function in functions:
            command = group.commands[function.__name__]
            assert isinstance(command, Command)
            parts.extend(_command(command))
    return page("Command line", *parts)


def _command(command: Command) -> Iterator[str]:
    name = f"monai-app {command.name}"
    context = typer.Context(command, info_name=name, help_option_names=["-h", "--help"])
    yield f"### {name}"
    yield command.help or ""
    yield f"```\n{' '.join((name, *command.collect_usage_pieces(context)))}\n```"
    for title, rows in command.sections(context).items():
        yield f"**{title}**"
        yield table(("name", "meaning"), ((f"`{shown}`", meaning) for shown, meaning in rows))
