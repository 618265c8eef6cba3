"""Result tables on standard output. Names of files are never parsed as markup."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from stemwright.formatting import clock, decibels, printable, speed

if TYPE_CHECKING:
    from stemwright.separation.result import Result

BIT_FOR_BIT_DB = -200.0

COLUMNS = ("stem", "file", "present", "presence", "peak dBFS", "level dBFS")
MIN_TABLE_COLUMNS = 76
"""A narrower terminal gets only three of these columns: wrapped numbers cannot be read."""


def console() -> Console:
    """Standard output; lines in a pipe are not wrapped."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 200
    # without a height rich assumes 80 columns on a dumb terminal
    return Console(file=sys.stdout, width=width, height=25, highlight=False)


def table(*columns: str, left: int = 1) -> Table:
    """An empty table whose first columns are aligned left and whose others are aligned right, for numbers."""
    made = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        made.add_column(name, justify="left" if index < left else "right", overflow="fold")
    return made


def print_result(result: Result) -> None:
    """Prints the stems of a song, and one line about all of them."""
    out = console()
    verb = "kept from an earlier run" if result.skipped else "separated"
    out.print(Text(f"{printable(result.input)}: {verb}, in {printable(str(result.output_dir))}", style="bold"))
    is_narrow = out.width < MIN_TABLE_COLUMNS
    columns = ("stem", "present", "level dBFS") if is_narrow else COLUMNS
    stems = table(*columns, left=2 if is_narrow else 3)
    for stem in result.stems:
        cells: dict[str, str | Text] = {
            "stem": stem.name,
            "file": Text(printable(stem.path.name)),
            "present": "yes" if stem.present else "no",
            "presence": f"{stem.presence:.2f}",
            "peak dBFS": decibels(stem.peak_dbfs),
            "level dBFS": decibels(stem.rms_dbfs),
        }
        stems.add_row(*(cells[column] for column in columns), style=None if stem.present else "dim")
    out.print(stems)
    facts = [
        f"{clock(result.seconds)} in {result.elapsed_s:.1f} s, {speed(result.realtime_factor)}, "
        f"plan {printable(result.plan)}"
    ]
    if result.skipped:
        facts = [f"nothing was done, the stems are those of plan {printable(result.plan)}; --overwrite replaces them"]
    if result.residual_db is not None:
        exact = result.residual_db <= BIT_FOR_BIT_DB
        facts.append("adds up to the input " + ("bit for bit" if exact else f"to {result.residual_db:.0f} dB"))
    facts.append("no gain" if result.gain_db == 0 else f"all stems {result.gain_db:+.2f} dB against clipping")
    out.print(Text("; ".join(facts)))
    for note in result.notes:
        out.print(Text(f"note: {printable(note)}"))
