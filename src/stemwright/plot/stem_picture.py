"""Draws outlines under each other: waveforms on the left, spectrograms on the right, one time axis for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stemwright.errors import storage_error
from stemwright.formatting import printable
from stemwright.plot.waveform_summary import Outline

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK = "#22252b"
FAINT = "#8a9099"
COLOURS = {
    "vocals": "#d1495b",
    "backing_vocals": "#e58a96",
    "drums": "#e07b39",
    "bass": "#6a4c93",
    "guitar": "#c9a227",
    "keyboard": "#2e86ab",
    "strings": "#3f9b6e",
    "brass": "#b5651d",
    "woodwinds": "#5aa9a0",
    "percussion": "#d6a15c",
    "synth": "#4f6bd8",
    "fx": "#7d8597",
}
"""Colour of each stem's waveform; the other names take that of ``fx``."""

RANGE_DB = 80.0
"""What the spectrograms show under the loudest point of all stems."""

TICKS_HZ = {100.0: "100", 1000.0: "1k", 10_000.0: "10k"}


@dataclass(frozen=True)
class Strip:
    """One stem of the picture; ``presence`` is None where it is not known."""

    name: str
    outline: Outline
    present: bool = True
    presence: float | None = None


def draw(title: str, strips: Sequence[Strip], path: Path) -> None:
    """Writes the picture as a PNG.

    Raises:
        StorageError: the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 1.0 + 1.05 * len(strips)), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(strips),
        2,
        sharex="all",
        squeeze=False,
        gridspec_kw={"width_ratios": (1.0, 1.0), "hspace": 0.12, "wspace": 0.05},
    )
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.125, right=0.955, top=1.0 - 0.5 / height, bottom=0.5 / height)
    figure.suptitle(
        shown(title), x=0.125, y=1.0 - 0.15 / height, ha="left", va="top", color=INK, fontsize=13, parse_math=False
    )
    seconds = max(strip.outline.seconds for strip in strips) or 1.0  # an axis needs a length
    reach = max(float(np.abs([strip.outline.lows, strip.outline.highs]).max(initial=0.0)) for strip in strips) or 1.0
    top_db = max(float(strip.outline.spectrogram_db.max(initial=-RANGE_DB)) for strip in strips)
    for strip, (left, right) in zip(strips, axes, strict=True):
        _draw_wave(left, strip, reach)
        _draw_spectrogram(right, strip, top_db)
        left.set_xlim(0.0, seconds)
    for below in axes[-1]:
        below.set_xlabel("seconds" if seconds < 120 else "minutes : seconds", color=FAINT, fontsize=8)
        below.tick_params(axis="x", labelbottom=True)
        if seconds >= 120:
            below.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            figure.savefig(file, format="png")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def _draw_wave(axis: Axes, strip: Strip, reach: float) -> None:
    outline = strip.outline
    colour = COLOURS.get(strip.name, COLOURS["fx"]) if strip.present else "#c9ccd1"
    at = np.minimum(np.arange(len(outline.lows) + 1) * outline.column_s, outline.seconds)
    if len(outline.lows):
        axis.fill_between(
            at,
            np.append(outline.lows, outline.lows[-1]),
            np.append(outline.highs, outline.highs[-1]),
            step="post",
            color=colour,
            linewidth=0.4,
        )
    axis.axhline(0.0, color=colour, linewidth=0.6)
    axis.set_ylim(-1.05 * reach, 1.05 * reach)
    axis.set_yticks([])
    _frame(axis)
    words: dict[str, Any] = {"transform": axis.transAxes, "ha": "right", "va": "center", "parse_math": False}
    ink = INK if strip.present else FAINT
    axis.text(-0.02, 0.72, shown(strip.name), color=ink, fontsize=11, fontweight="bold", **words)
    axis.text(-0.02, 0.45, _levels(outline), color=FAINT, fontsize=7.5, **words)
    if strip.presence is not None:
        said = f"presence {strip.presence:.2f}" if strip.present else f"absent ({strip.presence:.2f})"
        axis.text(-0.02, 0.22, said, color=FAINT, fontsize=7.5, **words)


def _draw_spectrogram(axis: Axes, strip: Strip, top_db: float) -> None:
    outline = strip.outline
    columns = outline.spectrogram_db.shape[1]
    at = np.minimum(np.arange(columns + 1) * outline.spectrum_s, outline.seconds)
    axis.set_yscale("log")
    axis.set_facecolor("black")
    if columns:
        axis.pcolormesh(
            at,
            outline.edges_hz,
            outline.spectrogram_db,
            cmap="magma",
            vmin=top_db - RANGE_DB,
            vmax=top_db,
            shading="flat",
            rasterized=True,
        )
    axis.set_ylim(outline.edges_hz[0], outline.edges_hz[-1])
    axis.yaxis.tick_right()
    axis.minorticks_off()
    ticks = {hz: name for hz, name in TICKS_HZ.items() if hz < outline.edges_hz[-1]}
    axis.set_yticks(list(ticks), labels=list(ticks.values()))
    _frame(axis)


def _frame(axis: Axes) -> None:
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.tick_params(colors=FAINT, labelsize=7.5, length=2, labelbottom=False)


def _levels(outline: Outline) -> str:
    if outline.peak_db is None or outline.level_db is None:
        return "silent"
    return f"peak {outline.peak_db:.1f}, level {outline.level_db:.1f} dBFS"


def shown(text: str) -> str:
    """The text in characters that the picture's font has; others, such as emoji, become a box without a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(char if ord(char) in known else "\N{WHITE SQUARE}" for char in printable(text))
