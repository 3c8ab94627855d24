"""The layout of ``--help``: commands in sections, complete summaries, and metavars instead of Python types."""

import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

_METAVARS = {"int": "N", "float": "X", Path.__name__: "PATH"}
"""Type of an option's value -> its metavar if the option declares none."""

_RANGE = re.compile(r"(; |  \[)(\d+<=)?x[<>]=\d+\]$")
"""The range that typer appends to a help text; help texts name useful ranges themselves."""


class Command(TyperCommand):
    """A command whose flags have no negative form, and whose values are named as in manual pages."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if getattr(parameter, "is_flag", False):
                if parameter.default is False:
                    parameter.secondary_opts = []  # --no-x would only repeat the default
            elif parameter.metavar is None:
                parameter.metavar = _metavar(parameter)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse the words; ``--json FILE``, an old spelling, is read as the hidden ``--json-file FILE``."""
        if any(each.name == "json_file" for each in self.params):
            args = [_with_file(word, after) for word, after in pairwise([*args, ""])]
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Return what follows the command's name: ``[OPTIONS] STACK RUN``."""
        return ["[OPTIONS]", *(_shown(each) for each in self.params if each.param_type_name == "argument")]

    def sections(self, ctx: typer.Context) -> dict[str, list[tuple[str, str]]]:
        """Return name and help of every argument, and of the options by section.

        ``rich_help_panel`` of a declaration names its section.
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
    """Commands, listed by the section that their registration names (``rich_help_panel``)."""

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


def _with_file(word: str, after: str) -> str:
    """Return ``--json`` as ``--json-file`` if a file follows it."""
    named = word.startswith("--json=") or (word == "--json" and after.endswith(".json"))
    return word.replace("--json", "--json-file", 1) if named else word


def _metavar(parameter: Any) -> str | None:
    """Return the metavar of a parameter's value."""
    described = parameter.type_descriptor
    if described.is_choice:
        return "|".join(map(str, described.choices))
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return _METAVARS.get(described.annotation.__name__, "NAME")


def _shown(argument: Any) -> str:
    """Return an argument for the usage line, in brackets if it is optional."""
    name = str(argument.metavar)
    return name if argument.required or name.startswith("[") else f"[{name}]"
