"""``stemwright evaluate``: scores separations against the true stems."""

from __future__ import annotations

import shlex
import sys
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.common_options import FILES_PANEL, OUTPUT_PANEL, DeviceOption, Json, License, Plan, Threads
from stemwright.errors import UsageError, storage_error
from stemwright.evaluation.metric_selection import LayoutName, read_metrics

if TYPE_CHECKING:
    from rich.table import Table

    from stemwright.evaluation.report import Report
    from stemwright.evaluation.report_tables import Cells


def evaluate(
    ref_dir: Annotated[
        Path, typer.Argument(metavar="REF_DIR", help="REF_DIR/<song>/<stem>.<ext>, or the folder of one song.")
    ],
    estimates: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Score DIR/<song>/<stem>.<ext> instead of separating the mix.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = None,
    layout: Annotated[
        LayoutName,
        typer.Option(
            help="Layout of REF_DIR. songs: <song>/<stem>. musdb: MUSDB18-HQ (its test songs). moises: MoisesDB v0.1. "
            "msst: a validation folder of Music-Source-Separation-Training, <song>/mixture.wav and <song>/<label>.wav.",
            rich_help_panel=FILES_PANEL,
        ),
    ] = "songs",
    plan: Plan = "auto",
    device: DeviceOption = "auto",
    threads: Threads = None,
    license: License = None,
    metrics: Annotated[
        str,
        typer.Option(
            metavar="LIST|all",
            help="sdr, csdr (museval's median over seconds), si_sdr, bleedless, fullness, l1_freq, log_wmse (also for "
            "silent stems). sdr is always included; the others take longer.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = "sdr",
    as_json: Json = False,
    songs: Annotated[
        bool, typer.Option("--songs", help="Print the scores of each song too.", rich_help_panel=OUTPUT_PANEL)
    ] = False,
    confusion: Annotated[
        bool,
        typer.Option(
            "--confusion",
            help="Measure into which estimates the energy of each true stem leaks.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    known_stems: Annotated[
        bool,
        typer.Option(
            "--known-stems",
            help="Tell the separator which stems play in each song, as separate --playing does, where all are labelled.",
            rich_help_panel=OUTPUT_PANEL,
        ),
    ] = False,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG", help="Draw the results as a picture; needs stemwright[plot].", rich_help_panel=OUTPUT_PANEL
        ),
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="MD", help="Write the tables as Markdown.", rich_help_panel=OUTPUT_PANEL)
    ] = None,
) -> None:
    """Scores separations against true stems: mixes the stems, separates the mix into twelve, and prints the SDR in dB.

    For comparison it prints the SDR of the mix itself (no separation) and of the ideal ratio mask (oracle). Silence
    scores 0 dB. All files of a song must have the same length and sample rate. A file named unlabelled holds the rest
    of a song whose instruments are not all known. The mean SDR is also known as uSDR.
    docs/evaluation.md explains the comparisons and metrics.

    Examples:

      stemwright evaluate truth/

      stemwright evaluate truth/ --estimates stems/ --json

      stemwright evaluate MUSDB18-HQ/ --layout musdb --metrics sdr,csdr --card musdb.png
    """
    from stemwright.evaluation.evaluate import evaluate_estimates, evaluate_plan
    from stemwright.formatting import json_text

    chosen_metrics = read_metrics(metrics)
    if known_stems and estimates is not None:
        raise UsageError("--known-stems is for a separation: leave it out, or leave --estimates out.")
    if card is not None:
        from stemwright.plot.stem_picture import check_matplotlib

        check_matplotlib()  # before an hour of work, not after it
    for path in (card, markdown):
        if path is not None:
            _check_writable(path)  # before an hour of work, not after it
    if estimates is None:
        from stemwright.cli.model_download import download_missing
        from stemwright.evaluation.layouts import LAYOUTS
        from stemwright.separation.separator import Separator

        LAYOUTS[layout].find_songs(ref_dir)  # a wrong folder is reported before gigabytes are downloaded
        separator = Separator(plan, device=device, threads=threads, licence=license)
        download_missing(separator, "twelve")
        report = evaluate_plan(
            ref_dir,
            separator,
            layout=layout,
            metrics=chosen_metrics,
            confusion=confusion,
            known_stems=known_stems,
            on_song=_print_song,
        )
    else:
        report = evaluate_estimates(
            ref_dir, estimates, layout=layout, metrics=chosen_metrics, confusion=confusion, on_song=_print_song
        )
    title = _title(report, ref_dir, estimates)
    if markdown is not None:
        _write_markdown(report, title, markdown)
    if card is not None:
        from stemwright.plot.quality_card import draw_card

        draw_card(report, title, _command(), card)
    if as_json:
        typer.echo(json_text(report.to_dict(), indent=2))
    else:
        _print_report(report, each_song=songs)


def _print_song(index: int, count: int, name: str) -> None:
    from stemwright.cli.streams import print_error_line

    print_error_line(f"[{index + 1}/{count}] {name}")


def _title(report: Report, ref_dir: Path, estimates: Path | None) -> str:
    """Plan or estimates, data set, and date."""
    from stemwright.formatting import printable

    who = f"plan {report.plan}" if estimates is None else f"estimates {estimates.resolve().name}"
    return printable(f"{who} on {ref_dir.resolve().name}, {date.today().isoformat()}")


def _command() -> str:
    from stemwright.formatting import printable

    return printable(shlex.join(["stemwright", *sys.argv[1:]]))


def _check_writable(path: Path) -> None:
    """Opens the file as it will be opened later, without changing it."""
    existed = path.exists()
    try:
        path.open("ab").close()
    except OSError as error:
        raise storage_error(error, path) from error
    if not existed:
        path.unlink()


def _write_markdown(report: Report, title: str, path: Path) -> None:
    from stemwright.evaluation.report_tables import to_markdown

    try:
        path.write_text(to_markdown(report, title, _command()), encoding="utf-8")
    except OSError as error:
        raise storage_error(error, path) from error


def _print_report(report: Report, *, each_song: bool) -> None:
    from rich.text import Text

    from stemwright.cli.tables import console
    from stemwright.evaluation.report_tables import confusion_table, facts, rows_table, songs_table

    out = console()
    if each_song:
        out.print(_table(songs_table(report), left=2))
    out.print(_table(rows_table(report), left=1))
    for fact in facts(report):
        out.print(Text(fact))
    if report.confusion:
        out.print(_table(confusion_table(report), left=1))


def _table(cells: Cells, *, left: int) -> Table:
    from rich.text import Text

    from stemwright.cli.tables import table

    head, *lines = cells
    made = table(*head, left=left)
    for line in lines:
        made.add_row(*map(Text, line))
    return made
