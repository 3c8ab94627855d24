"""What ``--help`` shows: commands in sections, whole summaries, and metavars instead of Python's types."""

import re
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_METAVARS = {"int": "N", "float": "X", Path.__name__: "PATH"}
"""Type of an option's value -> what stands for it where the option does not say."""

_RANGE = re.compile(r"(; |  \[)(\d+<=)?x[<>]=\d+\]$")
"""The range that typer adds to a help text; texts say it in words where it is worth saying."""


class Command(TyperCommand):
    """A command whose flags have one spelling each, and whose values are named in the way of manual pages."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if getattr(parameter, "is_flag", False):
                if parameter.default is False:
                    parameter.secondary_opts = []  # what --no-x would ask for holds anyway
            elif parameter.metavar is None:
                parameter.metavar = _metavar(parameter)

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return what stands behind the command's name: ``[OPTIONS] STACK RUN``."""
        return ["[OPTIONS]", *(_shown(each) for each in self.params if each.param_type_name == "argument")]

    def sections(self, ctx: typer.Context) -> dict[str, list[tuple[str, str]]]:
        """Return name and meaning of every argument, and of options by the section of their declaration.

        A declaration names its section as ``rich_help_panel``.
        """
        found: dict[str, list[tuple[str, str]]] = {}
        for each in self.get_params(ctx):
            if each.param_type_name == "argument":
                found.setdefault("Arguments", []).append((_shown(each), getattr(each, "help", None) or ""))
            elif (record := each.get_help_record(ctx)) is not None:
                meaning = _RANGE.sub(lambda match: "]" if match[1] == "; " else "", record[1])
                title = getattr(each, "rich_help_panel", None) or "Options"
                found.setdefault(title, []).append((record[0], meaning))
        return found

    def format_options(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write the sections."""
        for title, records in self.sections(ctx).items():
            with formatter.section(title):
                formatter.write_dl(records)


class Commands(TyperGroup):
    """Commands, each listed in the section that its registration names (``rich_help_panel``)."""

    def format_commands(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Write every section with the first line of each command's help."""
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            if not command.hidden:
                summary = (command.help or "").partition("\n")[0]
                sections.setdefault(str(getattr(command, "rich_help_panel", "")), []).append((name, summary))
        width = max(len(name) for rows in sections.values() for name, _ in rows)
        for title, rows in sections.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), summary) for name, summary in rows])


def _metavar(parameter: Any) -> str | None:
    """What stands for the value of a parameter."""
    described = parameter.type_descriptor
    if described.is_choice:
        return "|".join(map(str, described.choices))
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return _METAVARS.get(described.annotation.__name__, "NAME")


def _shown(argument: Any) -> str:
    """An argument in the line of usage: in brackets where it may be left out."""
    name = str(argument.metavar)
    return name if argument.required or name.startswith("[") else f"[{name}]"
