"""Options that several commands share, and parsers of their values."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import typer

from stemwright.separation.options import Device

FILES_PANEL = "Stems and files"
PROCESSING_PANEL = "Model and processing"
OUTPUT_PANEL = "Output"

MAX_CREDITS = 1e9


def seconds(text: str) -> float:
    """Parses a position in the song: 0 or more seconds."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 <= value < math.inf:
        raise typer.BadParameter(f"'{text}' is not a time in seconds; give 0 or more, such as 12.5.")
    return value


def credit_hundredths(text: str) -> int:
    """Parses a number of credits, at most a billion, into hundredths."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not -MAX_CREDITS <= value <= MAX_CREDITS:
        raise typer.BadParameter(f"'{text}' is not a number of credits; give one such as 500 or 0.5.")
    return round(100 * value)


def positive_seconds(text: str) -> float:
    """Parses a duration: more than 0 seconds."""
    value = seconds(text)
    if value == 0.0:
        raise typer.BadParameter("0 seconds contain no sound; give more than 0 seconds.")
    return value


def positive_minutes(text: str) -> float:
    """Parses a number of minutes: more than 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value < math.inf:
        raise typer.BadParameter(f"'{text}' is not a number of minutes; give more than 0, such as 10.")
    return value


Plan = Annotated[
    str,
    typer.Option(
        metavar="auto|fast|good|best|NAME",
        help="auto: the best of the next three that is installed and worth its time. fast: the included network. good: one "
        "published network. best: the best published networks. NAME: a model listed by 'stemwright models'. What is named "
        "and not installed is downloaded.",
        rich_help_panel=PROCESSING_PANEL,
    ),
]
MaxMinutes = Annotated[
    float | None,
    typer.Option(
        metavar="M",
        parser=positive_minutes,
        help="Longest time for a song that auto may choose a plan for. Default: four times the song's length.",
        rich_help_panel=PROCESSING_PANEL,
    ),
]
DeviceOption = Annotated[
    Device,
    typer.Option(help="Where to compute; auto uses a GPU if there is a usable one.", rich_help_panel=PROCESSING_PANEL),
]
Threads = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        help="CPU threads. Default: all cores available to the process.",
        rich_help_panel=PROCESSING_PANEL,
    ),
]
License = Annotated[
    Literal["any", "permissive"] | None,
    typer.Option(
        "--license",
        help="permissive: only weights whose licence allows any use, also commercial. Default: STEMWRIGHT_LICENSE, or any.",
        rich_help_panel=PROCESSING_PANEL,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.", rich_help_panel=OUTPUT_PANEL)]
