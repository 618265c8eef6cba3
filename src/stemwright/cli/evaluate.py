"""``stemwright evaluate``: how well songs are separated, against their true stems."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stemwright.cli.choices import DeviceOption, Json, Plan, Threads

if TYPE_CHECKING:
    from stemwright.evaluation.report import Report


def evaluate(
    ref_dir: Annotated[
        Path, typer.Argument(metavar="REF_DIR", help="REF_DIR/<song>/<stem>.<ext>, or the folder of one song.")
    ],
    estimates: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Score DIR/<song>/<stem>.<ext> instead of separating the mix."),
    ] = None,
    plan: Plan = "fast",
    device: DeviceOption = "auto",
    threads: Threads = None,
    as_json: Json = False,
    songs: Annotated[bool, typer.Option("--songs", help="Print every song too.")] = False,
    confusion: Annotated[
        bool, typer.Option("--confusion", help="Find which estimates took the energy of each true stem.")
    ] = False,
) -> None:
    """Mixes true stems, separates the mix into twelve, and scores what came out: SDR in dB, beside the mix and the oracle.

    Silence scores 0 dB. The files of a song have one length and rate; a file named unlabelled holds the rest
    of a song whose parts are not all known. docs/evaluation.md says what is compared with what.

    [bold]Examples[/]

      stemwright evaluate truth/

      stemwright evaluate truth/ --estimates stems/ --json
    """
    from stemwright.evaluation.evaluate import evaluate_estimates, evaluate_plan

    if estimates is None:
        report = evaluate_plan(ref_dir, plan, device=device, threads=threads, confusion=confusion, on_song=_announce)
    else:
        report = evaluate_estimates(ref_dir, estimates, confusion=confusion, on_song=_announce)
    if as_json:
        typer.echo(json.dumps(report.to_dict(), indent=2))
    else:
        _print_report(report, each_song=songs)


def _announce(index: int, count: int, name: str) -> None:
    from stemwright.words import printable

    print(f"[{index + 1}/{count}] {printable(name)}", file=sys.stderr, flush=True)


def _print_report(report: Report, *, each_song: bool) -> None:
    from rich.text import Text

    from stemwright.cli.tables import console, table
    from stemwright.words import decibels, printable

    out = console()
    if each_song:
        rows = table("song", "stem", "SDR dB", "mix", "oracle", left=2)
        for song in report.songs:
            aside = "" if song.counts else " (one stem: does not count)"
            for score in song.scores:
                rows.add_row(
                    Text(printable(song.song) + aside),
                    score.name,
                    decibels(score.sdr_db),
                    decibels(score.mix_db),
                    decibels(score.oracle_db),
                )
        out.print(rows)
    rows = table("stem", "songs", "SDR dB, median", "mix", "oracle", "mean SDR")
    for row in report.rows:
        rows.add_row(
            row.name,
            str(row.songs),
            decibels(row.sdr_db),
            decibels(row.mix_db),
            decibels(row.oracle_db),
            decibels(row.mean_sdr_db),
        )
    out.print(rows)
    facts = [f"sum of the estimates against the mix: {report.residual_db:.0f} dB of its peak at worst"]
    if report.leakage_db is not None:
        facts.append(
            f"estimates of absent stems: {report.leakage_db:.1f} dB under the mix (median of {report.absent_stems})"
        )
    if report.presence_auc is not None:
        facts.append(f"presence: {report.presence_auc:.3f} under the ROC curve")
    for fact in facts:
        out.print(Text(fact))
    if report.confusion:
        columns = list(dict.fromkeys(name for row in report.confusion.values() for name in row))
        shares = table("energy of, in % to", *columns)
        for name, taken in report.confusion.items():
            shares.add_row(name, *(f"{100 * taken.get(column, 0.0):.0f}" for column in columns))
        out.print(shares)
