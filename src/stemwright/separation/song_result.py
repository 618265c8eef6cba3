"""The result of a separated song, from what both passes measured."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np

from stemwright.audio.formats import OutputFormat
from stemwright.separation.presence import Presence
from stemwright.separation.resources import peak_rss_mb
from stemwright.separation.result import Result, StemResult
from stemwright.separation.separation_run import EncodedParts, SeparationRun
from stemwright.separation.song_plan import SongPlan
from stemwright.separation.source import FileSource


def song_result(
    run: SeparationRun,
    song_plan: SongPlan,
    source: FileSource,
    presence: Presence,
    encoded: EncodedParts,
    fmt: OutputFormat,
    folder: Path,
    started_s: float,
) -> Result:
    """The result of a song whose stems are written, before they are moved into their folder.

    Args:
        run: the run, with both passes done.
        song_plan: the plan of the song.
        source: the song.
        presence: presence of each part.
        encoded: the written files.
        fmt: their format.
        folder: where they will be.
        started_s: when the work began, by ``time.monotonic``.
    """
    report = encoded.report
    seconds = report.n_samples / source.sample_rate
    elapsed_s = time.monotonic() - started_s
    stems = tuple(
        StemResult(
            name=part.name,
            path=folder / f"{part.name}.{fmt.extension}",
            present=present,
            presence=round(score, 4),
            peak_dbfs=_rounded(meter.peak_db),
            rms_dbfs=_rounded(meter.level_db),
        )
        for part, present, score, meter in zip(
            run.selection.parts, presence.present, presence.scores, report.parts, strict=True
        )
    )
    return Result(
        input=str(source.path),
        output_dir=folder,
        plan=song_plan.plan,
        models=run.analysis_pass.models,
        sample_rate=source.sample_rate,
        channels=source.channels,
        samples=report.n_samples,
        seconds=seconds,
        residual_db=_rounded(report.residual_db) if fmt.lossless else None,
        gain_db=20 * float(np.log10(encoded.quantization.gain)),
        stems=stems,
        elapsed_s=round(elapsed_s, 3),
        realtime_factor=round(seconds / elapsed_s, 2),
        peak_rss_mb=round(peak_rss_mb(), 1),
        notes=(*source.notes, *song_plan.notes, *run.analysis_pass.notes, *encoded.notes),
        better=song_plan.better,
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
