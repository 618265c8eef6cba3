"""A report as tables, for the terminal and for Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stemwright.evaluation.metric_selection import METRICS
from stemwright.evaluation.report import Report
from stemwright.evaluation.scores import MIX_ERROR_DB
from stemwright.formatting import decibels, printable

Cells = tuple[tuple[str, ...], ...]


def rows_table(report: Report) -> Cells:
    """One line per row, after a header line. Metrics are medians."""
    head = ("stem", "songs", "SDR dB, median", "mix", "oracle", "mean SDR", *_headers(report))
    lines = (
        (
            row.name,
            str(row.songs),
            *map(decibels, (row.sdr_db, row.mix_db, row.oracle_db, row.mean_sdr_db)),
            *_figures(report, row.metrics),
        )
        for row in report.rows
    )
    return (head, *lines)


def songs_table(report: Report) -> Cells:
    """One line per row of each song, after a header line."""
    head = ("song", "stem", "SDR dB", "mix", "oracle", *_headers(report))
    lines = (
        (
            printable(song.song) + ("" if song.counts else " (one stem: does not count)"),
            score.name,
            *map(decibels, (score.sdr_db, score.mix_db, score.oracle_db)),
            *_figures(report, score.metrics),
        )
        for song in report.songs
        for score in song.scores
    )
    return (head, *lines)


def confusion_table(report: Report) -> Cells:
    """One line per true stem and one column per estimate, in percent, after a header line."""
    columns = tuple(dict.fromkeys(name for row in report.confusion.values() for name in row))
    lines = (
        (name, *(f"{100 * taken.get(column, 0.0):.0f}" for column in columns))
        for name, taken in report.confusion.items()
    )
    return (("energy of, in % to", *columns), *lines)


def facts(report: Report) -> tuple[str, ...]:
    """Results that concern all rows, one sentence each."""
    sentences = [f"sum of the estimates against the mix: {report.residual_db:.0f} dB of its peak at worst"]
    if report.mix_error_db is not None and report.mix_error_db > MIX_ERROR_DB:
        sentences.append(
            f"sum of the true stems against the mixture files: {report.mix_error_db:.0f} dB of their peak at worst"
        )
    if report.leakage_db is not None:
        weighted = "" if report.absent_log_wmse is None else f", log-WMSE {report.absent_log_wmse:.1f}"
        sentences.append(
            f"estimates of absent stems: {report.leakage_db:.1f} dB under the mix{weighted} "
            f"(median of {report.absent_stems})"
        )
    if report.presence_auc is not None:
        sentences.append(f"presence: {report.presence_auc:.3f} under the ROC curve")
    return tuple(sentences)


def to_markdown(report: Report, title: str, command: str) -> str:
    """The report as a Markdown page.

    Args:
        report: the report.
        title: plan, data set and date.
        command: the command that reproduces it.
    """
    parts = [f"# {title}", f"```\n{command}\n```", _markdown(rows_table(report), left=1)]
    parts.append("\n".join(f"- {fact}" for fact in facts(report)))
    if report.confusion:
        parts.append(_markdown(confusion_table(report), left=1))
    parts.append(_markdown(songs_table(report), left=2))
    return "\n\n".join(parts) + "\n"


def _headers(report: Report) -> tuple[str, ...]:
    return tuple(METRICS[name] for name in report.metrics)


def _figures(report: Report, metrics: Mapping[str, float | None]) -> tuple[str, ...]:
    return tuple(decibels(metrics.get(name)) for name in report.metrics)


def _markdown(cells: Cells, *, left: int) -> str:
    """A table with ``left`` left-aligned columns of text; the other columns are numbers."""
    head, *lines = cells
    rule = ["---" if index < left else "---:" for index in range(len(head))]
    return "\n".join(_line(line) for line in (head, rule, *lines))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("\\", "\\\\").replace("|", "\\|") for cell in cells) + " |"
