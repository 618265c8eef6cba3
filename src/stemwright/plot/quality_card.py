"""A quality card: the results of an evaluation on one page.

Top: all rows of the report, with a dot per song, the median, and the range between mix and oracle. Bottom: the
confusion matrix and the levels of absent stems, if the report has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from stemwright.evaluation.metric_selection import METRICS
from stemwright.evaluation.report import Report, Row
from stemwright.evaluation.report_tables import facts
from stemwright.formatting import clock, decibels
from stemwright.plot.stem_picture import COLOURS, FAINT, INK, check_matplotlib, drawable, save_png
from stemwright.stems import STEMS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN = 13.0
ROW_IN = 0.36
LEFT_IN = 1.45
RIGHT_IN = 0.35
HEAD_IN = 1.25
FOOT_IN = 0.35
COLUMN_IN = 0.78
GAP_IN = 1.15

LOWEST_DB, HIGHEST_DB = -15.0, 30.0
"""Limits of the score axis; scores beyond are drawn at its end."""

LEAST_LEAK_DB = -90.0

RANGE_COLOUR = "#eceef1"
COLOUR_OF_ROW = COLOURS | {"singing": "#a02f42", "instrumental": "#3d5a80", "other": "#3d5a80"}


def draw_card(report: Report, title: str, command: str, path: Path) -> None:
    """Writes the card as a PNG.

    Args:
        report: the report.
        title: plan, data set and date.
        command: the command that reproduces it.
        path: output path.

    Raises:
        StorageError: the file cannot be written.
        UsageError: Matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    leaks = _leaks(report)
    below = max(len(report.confusion) + 1.2 if report.confusion else 0.0, len(leaks) + 0.6 if leaks else 0.0) * ROW_IN
    scores = max(len(report.rows), 2) * ROW_IN
    said = facts(report)
    height = HEAD_IN + scores + (GAP_IN + below if below else 0.0) + 0.55 + 0.22 * len(said) + FOOT_IN
    figure = Figure(figsize=(WIDTH_IN, height), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)

    def place(left: float, top: float, width: float, tall: float) -> Axes:
        """Axes by their left and upper edge and size, in inches from the upper left corner."""
        axes: Axes = figure.add_axes((left / WIDTH_IN, 1.0 - (top + tall) / height, width / WIDTH_IN, tall / height))
        return axes

    _write_head(figure, report, title, command, height)
    columns = 3 + len(report.metrics)
    _draw_scores(place(LEFT_IN, HEAD_IN, WIDTH_IN - LEFT_IN - RIGHT_IN - columns * COLUMN_IN, scores), report)
    top = HEAD_IN + scores + GAP_IN
    inner = WIDTH_IN - LEFT_IN - RIGHT_IN
    if report.confusion:
        width = 0.58 * inner if leaks else 0.75 * inner
        _draw_confusion(place(LEFT_IN, top, width, len(report.confusion) * ROW_IN), report)
    if leaks:
        left = LEFT_IN + 0.58 * inner + 1.5 if report.confusion else LEFT_IN
        _draw_leaks(place(left, top, WIDTH_IN - RIGHT_IN - left, len(leaks) * ROW_IN), leaks)
    for index, fact in enumerate(reversed(said)):
        at = (FOOT_IN + 0.22 * index) / height
        figure.text(0.3 / WIDTH_IN, at, fact, color=FAINT, fontsize=8.5, ha="left", va="bottom", parse_math=False)
    save_png(figure, path)


def _write_head(figure: Figure, report: Report, title: str, command: str, height: float) -> None:
    counted = [song for song in report.songs if song.counts]
    length = clock(sum(song.seconds for song in counted))
    lines: tuple[tuple[str, float, dict[str, Any]], ...] = (
        (f"Separation quality: {title}", 0.22, {"color": INK, "fontsize": 15, "fontweight": "bold"}),
        (_clipped(command, 130), 0.56, {"color": FAINT, "fontsize": 8.5, "family": "monospace"}),
        (
            f"{len(counted)} song{'' if len(counted) == 1 else 's'}, {length} in all. SDR in dB over all samples of a song; "
            "silence has 0, the mix is what no separation scores, the oracle is the ideal ratio mask.",
            0.78,
            {"color": FAINT, "fontsize": 8.5},
        ),
    )
    for text, down, style in lines:
        figure.text(0.3 / WIDTH_IN, 1.0 - down / height, drawable(text), ha="left", va="top", parse_math=False, **style)


def _draw_scores(axis: Axes, report: Report) -> None:
    each = {row.name: [s.sdr_db for song in report.songs if song.counts for s in song.scores if s.name == row.name]
            for row in report.rows}  # fmt: skip
    ends = [figure for row in report.rows for figure in (*each[row.name], row.mix_db, row.oracle_db)] or [0.0]
    low = max(LOWEST_DB, min(0.0, *ends) - 1.0)
    high = min(HIGHEST_DB, max(1.0, *ends) + 1.0)
    for line, row in enumerate(report.rows):
        colour = COLOUR_OF_ROW.get(row.name, COLOURS["fx"])
        room = np.clip([row.mix_db, row.oracle_db], low, high)
        axis.barh(line, room[1] - room[0], left=room[0], height=0.62, color=RANGE_COLOUR, zorder=1)
        axis.plot(room[0], line, "|", color=FAINT, markersize=13, markeredgewidth=1.4, zorder=2)
        axis.plot(room[1], line, "D", color="white", markeredgecolor=FAINT, markersize=4.5, zorder=2)
        dots = np.clip(each[row.name], low, high)
        axis.plot(
            dots, line + _jitter(len(dots)), "o", color=colour, alpha=0.6, markersize=5, markeredgewidth=0, zorder=3
        )
        middle = float(np.clip(row.sdr_db, low, high))
        axis.plot(
            [middle, middle], [line - 0.36, line + 0.36], color=colour, linewidth=3.5, zorder=4, solid_capstyle="butt"
        )
    axis.axvline(0.0, color=FAINT, linewidth=0.8, linestyle=(0, (2, 2)), zorder=0)
    axis.set_xlim(low, high)
    _name_lines(axis, [row.name for row in report.rows])
    axis.set_xlabel("SDR, dB", color=FAINT, fontsize=8.5, labelpad=2)
    axis.grid(axis="x", color="#e3e5e8", linewidth=0.6, zorder=0)
    axis.set_axisbelow(True)
    _write_legend(axis)
    _write_figures(axis, report)


def _write_legend(axis: Axes) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    marks: list[Any] = [
        Line2D([], [], color=INK, marker="o", alpha=0.6, linewidth=0, markersize=5, markeredgewidth=0, label="a song"),
        Line2D([], [], color=INK, marker="|", linewidth=0, markersize=11, markeredgewidth=3.5, label="median"),
        Line2D([], [], color=FAINT, marker="|", linewidth=0, markersize=11, markeredgewidth=1.4, label="mix"),
        Patch(color=RANGE_COLOUR, label="room"),
        Line2D([], [], color="white", markeredgecolor=FAINT, marker="D", linewidth=0, markersize=4.5, label="oracle"),
    ]
    legend = axis.legend(
        handles=marks,
        loc="lower left",
        bbox_to_anchor=(-0.01, 1.0),
        ncols=len(marks),
        frameon=False,
        fontsize=8,
        handletextpad=0.3,
        columnspacing=1.4,
        borderaxespad=0.1,
    )
    for text in legend.get_texts():
        text.set_color(FAINT)


def _write_figures(axis: Axes, report: Report) -> None:
    """Columns of numbers to the right of the scores."""
    heads = ("songs", "median", "mean", *(METRICS[name].removesuffix(" dB") for name in report.metrics))
    inches = axis.get_position().width * WIDTH_IN
    for column, head in enumerate(heads):
        at = 1.0 + (column + 0.92) * COLUMN_IN / inches
        axis.annotate(
            head, (at, 1.0), (0, 5), "axes fraction", textcoords="offset points", ha="right", color=FAINT, fontsize=8
        )
        for line, row in enumerate(report.rows):
            axis.text(
                at,
                line,
                _cells(report, row)[column],
                transform=axis.get_yaxis_transform(),
                ha="right",
                va="center",
                color=INK if column else FAINT,
                fontsize=9,
                fontweight="bold" if column == 1 else "normal",
            )


def _cells(report: Report, row: Row) -> tuple[str, ...]:
    figures = (row.sdr_db, row.mean_sdr_db, *(row.metrics.get(name) for name in report.metrics))
    return (str(row.songs), *map(decibels, figures))


def _draw_confusion(axis: Axes, report: Report) -> None:
    columns = list(dict.fromkeys(name for row in report.confusion.values() for name in row))
    shares = np.array([[taken.get(name, 0.0) for name in columns] for taken in report.confusion.values()])
    axis.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0, aspect="auto")
    for (line, column), share in np.ndenumerate(shares):
        if share >= 0.005:
            ink = "white" if share > 0.55 else INK
            axis.text(column, line, f"{100 * share:.0f}", ha="center", va="center", color=ink, fontsize=8)
    _name_lines(axis, list(report.confusion))
    axis.set_xticks(range(len(columns)), labels=columns, rotation=35, ha="right", rotation_mode="anchor")
    axis.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axis.set_yticks(np.arange(len(shares) + 1) - 0.5, minor=True)
    axis.grid(which="minor", color="white", linewidth=1.2)
    axis.tick_params(which="minor", length=0)
    axis.set_title("Which estimates took the energy of each true stem, %", **_heading())


def _draw_leaks(axis: Axes, leaks: dict[str, list[float]]) -> None:
    for line, (name, levels_db) in enumerate(leaks.items()):
        colour = COLOUR_OF_ROW[name]
        dots = np.maximum(levels_db, LEAST_LEAK_DB)
        axis.plot(dots, line + _jitter(len(dots)), "o", color=colour, alpha=0.6, markersize=5, markeredgewidth=0)
        middle = max(median(levels_db), LEAST_LEAK_DB)
        axis.plot([middle, middle], [line - 0.36, line + 0.36], color=colour, linewidth=3.5, solid_capstyle="butt")
    axis.set_xlim(LEAST_LEAK_DB - 2.0, 0.0)
    _name_lines(axis, list(leaks))
    axis.grid(axis="x", color="#e3e5e8", linewidth=0.6)
    axis.set_axisbelow(True)
    ticks = np.arange(LEAST_LEAK_DB, 1.0, 30.0)
    axis.set_xticks(ticks, labels=[f"{'≤ ' if tick == LEAST_LEAK_DB else ''}{tick:.0f}" for tick in ticks])
    axis.set_xlabel("dB of the mix; less is better", color=FAINT, fontsize=8.5, labelpad=2)
    axis.set_title("Level of estimates of absent stems", **_heading())


def _leaks(report: Report) -> dict[str, list[float]]:
    """Levels of absent stems' estimates, by stem, in the order of the vocabulary."""
    labelled = [song for song in report.songs if song.counts and song.is_fully_labelled]
    found = {name: [song.levels_db[name] for song in labelled if name in song.absent] for name in STEMS}
    return {name: levels_db for name, levels_db in found.items() if levels_db}


def _jitter(count: int) -> Any:
    """Small deterministic offsets that separate the dots of one line."""
    return 0.2 * (np.modf(np.arange(count) * 0.618034 + 0.5)[0] - 0.5) * 2.0


def _name_lines(axis: Axes, names: Sequence[str]) -> None:
    """One line per name, the first at the top, without a frame."""
    axis.set_ylim(max(len(names), 1) - 0.5, -0.5)
    axis.set_yticks(range(len(names)), labels=[drawable(name) for name in names])
    for spine in axis.spines.values():
        spine.set_visible(False)
    axis.tick_params(colors=FAINT, labelsize=8.5, length=0)
    for label, name in zip(axis.get_yticklabels(), names, strict=True):
        label.set(color=COLOUR_OF_ROW.get(name, INK), fontsize=10, fontweight="bold")


def _heading() -> dict[str, Any]:
    return {"loc": "left", "color": INK, "fontsize": 10.5, "fontweight": "bold", "pad": 10}


def _clipped(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
