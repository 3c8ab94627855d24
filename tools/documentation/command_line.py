"""The page on the command line, from the commands themselves: sections, usage, arguments and options."""

from collections.abc import Iterator

import typer
from page_parts import page, table
from typer.core import TyperGroup

from monai_app.cli import EXIT_CODES, SECTIONS, app
from monai_app.cli.help import Command

INTRODUCTION = """\
`--help` shows the same text for every command. Results go to standard output; the log, progress and errors go to
standard error. Progress is a bar on a terminal, and lines in a file. [Exit codes](#exit-codes) are at the end."""


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
    parts += ["## Exit codes", table(("code", "meaning"), ((str(code), text) for code, text in EXIT_CODES.items()))]
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
