"""Summary over songs: medians per stem, leakage, presence, confusion."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import fmean, median
from typing import Any

from stemwright.evaluation.comparisons import ESTIMATES, ROWS
from stemwright.evaluation.roc import area_under_roc
from stemwright.evaluation.scores import SongScores


@dataclass(frozen=True)
class Row:
    """One stem over all counted songs that have it; all values in dB.

    Attributes:
        name: a stem, ``singing``, ``instrumental`` or ``unlabelled``.
        songs: number of songs. One to three are too few for conclusions.
        sdr_db: median SDR of the estimates.
        mean_sdr_db: their mean.
        mix_db: median SDR of the mix as the estimate.
        oracle_db: median SDR of the ideal ratio mask.
        metrics: median of each other requested metric; None if it is undefined for all songs.
    """

    name: str
    songs: int
    sdr_db: float
    mean_sdr_db: float
    mix_db: float
    oracle_db: float
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """The evaluation of a set of songs.

    Attributes:
        plan: the plan that was evaluated; None for given estimates.
        rows: one row per stem that occurs, in the order of the vocabulary.
        leakage_db: median level of absent stems' estimates relative to the mix; None if no stem is known to be absent.
        absent_stems: number of estimates of absent stems.
        presence_auc: area under the ROC curve of the presence scores; None unless there are stems of both kinds.
        residual_db: the largest residual of a song.
        confusion: share of each true stem's energy in each estimate, mean over songs, by both names.
        songs: the scores of each song.
        metrics: the requested metrics besides the SDR.
        mix_error_db: the largest difference of a mix from the sum of its true stems; None if mixes are those sums.
        absent_log_wmse: median log-WMSE of the estimates of absent stems; None unless requested.
    """

    plan: str | None
    rows: tuple[Row, ...]
    leakage_db: float | None
    absent_stems: int
    presence_auc: float | None
    residual_db: float
    confusion: dict[str, dict[str, float]]
    songs: tuple[SongScores, ...]
    metrics: tuple[str, ...] = ()
    mix_error_db: float | None = None
    absent_log_wmse: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """The same data as plain types, ready for JSON; rows have ``metrics`` if any were requested."""
        facts = asdict(self)
        if not self.metrics:
            for row in (*facts["rows"], *(score for song in facts["songs"] for score in song["scores"])):
                del row["metrics"]
        return facts


def summarise(songs: Sequence[SongScores], plan: str | None, metrics: Collection[str] = ()) -> Report:
    """Medians over all songs with at least two stems that are not silent.

    Args:
        songs: the scores of each song.
        plan: the plan that was evaluated; None for given estimates.
        metrics: the requested metrics besides the SDR.
    """
    counted = [song for song in songs if song.counts]
    labelled = [song for song in counted if song.is_fully_labelled]
    leaks = [song.levels_db[name] for song in labelled for name in song.absent]
    present = [score for song in labelled for name, score in song.presence.items() if name in song.stems]
    absent = [song.presence[name] for song in labelled for name in song.absent]
    mix_errors = [song.mix_error_db for song in songs if song.mix_error_db is not None]
    weighted = [figure for song in labelled for figure in song.absent_log_wmse.values()]
    return Report(
        plan=plan,
        rows=tuple(row for name in ROWS if (row := _row(name, counted, metrics)) is not None),
        leakage_db=median(leaks) if leaks else None,
        absent_stems=len(leaks),
        presence_auc=area_under_roc(present, absent),
        residual_db=max(song.residual_db for song in songs),
        confusion=_confusion(counted),
        songs=tuple(songs),
        metrics=tuple(metrics),
        mix_error_db=max(mix_errors, default=None),
        absent_log_wmse=median(weighted) if weighted else None,
    )


def _row(name: str, songs: Sequence[SongScores], metrics: Collection[str]) -> Row | None:
    scores = [score for song in songs for score in song.scores if score.name == name]
    if not scores:
        return None
    return Row(
        name=name,
        songs=len(scores),
        sdr_db=median(score.sdr_db for score in scores),
        mean_sdr_db=fmean(score.sdr_db for score in scores),
        mix_db=median(score.mix_db for score in scores),
        oracle_db=median(score.oracle_db for score in scores),
        metrics={metric: _median([score.metrics.get(metric) for score in scores]) for metric in metrics},
    )


def _median(figures: Sequence[float | None]) -> float | None:
    known = [figure for figure in figures if figure is not None]
    return median(known) if known else None


def _confusion(songs: Sequence[SongScores]) -> dict[str, dict[str, float]]:
    mean: dict[str, dict[str, float]] = {}
    for name in ROWS:
        rows = [song.shares[name] for song in songs if name in song.shares and name in song.stems]
        if rows:
            columns = [column for column in ESTIMATES if any(column in row for row in rows)]
            mean[name] = {column: fmean(row.get(column, 0.0) for row in rows) for column in columns}
    return mean
