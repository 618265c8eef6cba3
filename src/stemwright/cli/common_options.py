"""Options that several commands share, and the numbers that make sense."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from stemwright.separation.options import Device

SOUND = "Stems and files"
WORK = "Speed and repetition"
OUTPUT = "What is said"

MOST_CREDITS = 1e9

Plan = Annotated[
    str,
    typer.Option(
        metavar="fast|best|NAME", help="What separates; 'stemwright models' lists the names.", rich_help_panel=WORK
    ),
]
DeviceOption = Annotated[
    Device, typer.Option(help="Processor; auto takes the best that the runtime has.", rich_help_panel=WORK)
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=1, help="Processor threads. Default: all cores that it may use.", rich_help_panel=WORK
    ),
]
License = Annotated[
    Literal["any", "permissive"] | None,
    typer.Option(
        "--license",
        help="permissive: only weights whose licence allows any use. Default: STEMWRIGHT_LICENSE, or any.",
        rich_help_panel=WORK,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.", rich_help_panel=OUTPUT)]


def seconds(text: str) -> float:
    """A time in the song: 0 or more seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise typer.BadParameter(f"'{text}' is no time; give 0 or more seconds, such as 12.5.")
    return value


def hundredths(text: str) -> int:
    """Credits, at most a billion, as whole hundredths."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -MOST_CREDITS <= value <= MOST_CREDITS:
        raise typer.BadParameter(f"'{text}' is no number of credits; give one such as 500 or 0.5.")
    return round(100 * value)


def length(text: str) -> float:
    """A length of time: more than 0 seconds."""
    value = seconds(text)
    if value == 0.0:
        raise typer.BadParameter("0 seconds hold nothing; give more than 0 seconds.")
    return value
