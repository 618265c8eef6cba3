"""Draws stems below each other: waveforms on the left, spectrograms on the right, with a common time axis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stemwright.errors import UsageError, storage_error
from stemwright.formatting import printable
from stemwright.plot.waveform_summary import WaveformSummary

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
"""Waveform colour of each stem; other names use that of ``fx``."""

RANGE_DB = 80.0
"""Dynamic range of the spectrograms below the maximum of all stems."""

TICKS_HZ = {100.0: "100", 1000.0: "1k", 10_000.0: "10k"}


@dataclass(frozen=True)
class StemPlot:
    """One stem of the picture; ``presence`` is None if unknown."""

    name: str
    summary: WaveformSummary
    present: bool = True
    presence: float | None = None


def check_matplotlib() -> None:
    """Checks that pictures can be drawn.

    Raises:
        UsageError: Matplotlib is not installed: it is an extra, since a separation needs no pictures.
    """
    try:
        import matplotlib  # noqa: F401  # checks that it is installed
    except ImportError as error:
        raise UsageError("Drawing needs Matplotlib: pip install 'stemwright[plot]'.") from error


def draw(title: str, stem_plots: Sequence[StemPlot], path: Path) -> None:
    """Writes the picture as a PNG.

    Raises:
        StorageError: the file cannot be written.
        UsageError: Matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15.0, 1.0 + 1.05 * len(stem_plots)), dpi=110, facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.subplots(
        len(stem_plots),
        2,
        sharex="all",
        squeeze=False,
        gridspec_kw={"width_ratios": (1.0, 1.0), "hspace": 0.12, "wspace": 0.05},
    )
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.125, right=0.955, top=1.0 - 0.5 / height, bottom=0.5 / height)
    figure.suptitle(
        drawable(title), x=0.125, y=1.0 - 0.15 / height, ha="left", va="top", color=INK, fontsize=13, parse_math=False
    )
    seconds = max(stem_plot.summary.seconds for stem_plot in stem_plots) or 1.0  # an axis needs a nonzero length
    reach = (
        max(
            float(np.abs([stem_plot.summary.lows, stem_plot.summary.highs]).max(initial=0.0))
            for stem_plot in stem_plots
        )
        or 1.0
    )
    top_db = max(float(stem_plot.summary.spectrogram_db.max(initial=-RANGE_DB)) for stem_plot in stem_plots)
    for stem_plot, (left, right) in zip(stem_plots, axes, strict=True):
        _draw_wave(left, stem_plot, reach)
        _draw_spectrogram(right, stem_plot, top_db)
        left.set_xlim(0.0, seconds)
    for below in axes[-1]:
        below.set_xlabel("seconds" if seconds < 120 else "minutes : seconds", color=FAINT, fontsize=8)
        below.tick_params(axis="x", labelbottom=True)
        if seconds >= 120:
            below.xaxis.set_major_formatter(lambda value, _: f"{int(value) // 60}:{int(value) % 60:02d}")
    save_png(figure, path)


def save_png(figure: Figure, path: Path) -> None:
    """Writes a figure; the file gets its name when it is whole.

    Raises:
        StorageError: it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            figure.savefig(file, format="png")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise storage_error(error, path) from error


def _draw_wave(axis: Axes, stem_plot: StemPlot, reach: float) -> None:
    summary = stem_plot.summary
    colour = COLOURS.get(stem_plot.name, COLOURS["fx"]) if stem_plot.present else "#c9ccd1"
    at = np.minimum(np.arange(len(summary.lows) + 1) * summary.column_s, summary.seconds)
    if len(summary.lows):
        axis.fill_between(
            at,
            np.append(summary.lows, summary.lows[-1]),
            np.append(summary.highs, summary.highs[-1]),
            step="post",
            color=colour,
            linewidth=0.4,
        )
    axis.axhline(0.0, color=colour, linewidth=0.6)
    axis.set_ylim(-1.05 * reach, 1.05 * reach)
    axis.set_yticks([])
    _frame(axis)
    words: dict[str, Any] = {"transform": axis.transAxes, "ha": "right", "va": "center", "parse_math": False}
    ink = INK if stem_plot.present else FAINT
    axis.text(-0.02, 0.72, drawable(stem_plot.name), color=ink, fontsize=11, fontweight="bold", **words)
    axis.text(-0.02, 0.45, _levels(summary), color=FAINT, fontsize=7.5, **words)
    if stem_plot.presence is not None:
        said = f"presence {stem_plot.presence:.2f}" if stem_plot.present else f"absent ({stem_plot.presence:.2f})"
        axis.text(-0.02, 0.22, said, color=FAINT, fontsize=7.5, **words)


def _draw_spectrogram(axis: Axes, stem_plot: StemPlot, top_db: float) -> None:
    summary = stem_plot.summary
    columns = summary.spectrogram_db.shape[1]
    at = np.minimum(np.arange(columns + 1) * summary.spectrum_s, summary.seconds)
    axis.set_yscale("log")
    axis.set_facecolor("black")
    if columns:
        axis.pcolormesh(
            at,
            summary.edges_hz,
            summary.spectrogram_db,
            cmap="magma",
            vmin=top_db - RANGE_DB,
            vmax=top_db,
            shading="flat",
            rasterized=True,
        )
    axis.set_ylim(summary.edges_hz[0], summary.edges_hz[-1])
    axis.yaxis.tick_right()
    axis.minorticks_off()
    ticks = {hz: name for hz, name in TICKS_HZ.items() if hz < summary.edges_hz[-1]}
    axis.set_yticks(list(ticks), labels=list(ticks.values()))
    _frame(axis)


def _frame(axis: Axes) -> None:
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.tick_params(colors=FAINT, labelsize=7.5, length=2, labelbottom=False)


def _levels(summary: WaveformSummary) -> str:
    if summary.peak_db is None or summary.level_db is None:
        return "silent"
    return f"peak {summary.peak_db:.1f}, level {summary.level_db:.1f} dBFS"


def drawable(text: str) -> str:
    """The text with characters of the picture's font only; others, such as emoji, become a box without a warning."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = get_font(findfont(FontProperties())).get_charmap()
    return "".join(char if ord(char) in known else "\N{WHITE SQUARE}" for char in printable(text))
