"""Help texts in sections, as plain text: rich's panels take longer to import than the help is worth."""

from __future__ import annotations

import os
import shutil
from typing import Any

from typer.core import TyperCommand, TyperGroup

from stemwright.errors import UsageError

USUAL_WIDTH = 52
"""Columns from which on Click's own width fits: it is never less than 50."""

LEAST_WIDTH = 30


class SectionedCommand(TyperCommand):
    """A command whose help lists options under the name of their panel."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parses the arguments. An existing file whose name begins with a dash gets an error that explains the remedy."""
        given_args = list(args)
        try:
            return list(super().parse_args(ctx, args))
        except Exception as error:
            if type(error).__name__ == "NoSuchOption":
                for name in given_args:
                    if name.startswith("-") and os.path.lexists(name):
                        raise UsageError(
                            f"'{name}' begins with a dash, so it was parsed as an option: give ./{name}, or -- before it."
                        ) from error
            raise

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Writes arguments, then each panel in the command's order, then other options; a single panel has no name."""
        arguments: list[tuple[str, str]] = []
        options: list[tuple[str, str]] = []
        panels: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if (record := parameter.get_help_record(ctx)) is None:
                continue
            if parameter.param_type_name == "argument":
                arguments.append(record)
            else:
                options.append(record)
                panels.setdefault(getattr(parameter, "rich_help_panel", None) or "Others", []).append(record)
        others = panels.pop("Others", [])
        sections = {"Options": options} if len(panels) < 2 else {**panels, "Others": others}
        for name, records in {"Arguments": arguments, **sections}.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records, col_max=_first_column(formatter))


class SummaryGroup(TyperGroup):
    """A group whose help lists each command with its whole first sentence."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the commands in their order."""
        commands = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(200)) for name, command in commands if command],
                col_max=_first_column(formatter),
            )


def narrow_width() -> int | None:
    """The width of help in a terminal of fewer than ``USUAL_WIDTH`` columns; None in others, where Click sets it."""
    columns = shutil.get_terminal_size().columns
    return max(columns, LEAST_WIDTH) if columns < USUAL_WIDTH else None


def _first_column(formatter: Any) -> int:
    """The widest first column of a list; longer entries have their text on the next line."""
    return 30 if formatter.width >= USUAL_WIDTH - 2 else 8
