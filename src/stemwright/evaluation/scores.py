"""The scores of one song: estimates against true stems, in one pass over the files, and the oracle in another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.comparisons import Comparison, comparisons
from stemwright.evaluation.confusion import energy_shares
from stemwright.evaluation.oracle import oracle_errors
from stemwright.evaluation.sdr import RunningSdr, energy, ratio_db
from stemwright.evaluation.songs import Song, aligned_blocks
from stemwright.stems import STEMS

Signal = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """One row of one song, all in dB.

    Attributes:
        name: a stem, ``singing``, ``instrumental`` or ``unlabelled``.
        estimates: the estimates whose sum was compared.
        sdr_db: SDR of the estimate.
        mix_db: SDR of the mix, taken for an estimate.
        oracle_db: SDR of the ideal ratio mask.
    """

    name: str
    estimates: tuple[str, ...]
    sdr_db: float
    mix_db: float
    oracle_db: float


@dataclass(frozen=True)
class SongScores:
    """The scores of one song.

    Attributes:
        song: its name.
        seconds: its length.
        stems: the true stems that sound; a silent file counts as an absent stem.
        counts: whether it counts in medians. Songs of one stem do not.
        is_fully_labelled: whether stems without a file are known to be absent.
        scores: the rows.
        levels_db: level of each estimate of the twelve stems under the mix.
        presence: presence score of each of the twelve stems: the separator's own, or the level for given estimates.
        residual_db: peak of (sum of the estimates - mix) in dB of the mix's peak; -200 stands for zero.
        shares: share of each true stem's energy that each estimate took, by both names; empty unless asked for.
    """

    song: str
    seconds: float
    stems: tuple[str, ...]
    counts: bool
    is_fully_labelled: bool
    scores: tuple[Score, ...]
    levels_db: Mapping[str, float]
    presence: Mapping[str, float]
    residual_db: float
    shares: Mapping[str, Mapping[str, float]]

    @property
    def absent(self) -> tuple[str, ...]:
        """Estimated stems that the song is known not to hold."""
        return tuple(name for name in self.levels_db if self.is_fully_labelled and name not in self.stems)


def score_song(
    song: Song,
    estimates: Mapping[str, Path],
    *,
    gain_db: float = 0.0,
    presence: Mapping[str, float] | None = None,
    confusion: bool = False,
) -> SongScores:
    """Scores the estimates of one song.

    Args:
        song: the true stems.
        estimates: file of each estimate, by name.
        gain_db: the gain that the estimates were given; it is undone before they are compared.
        presence: the separator's presence scores, by stem; None takes the levels.
        confusion: whether to find where the energy of each true stem went, which takes as long as all the rest.

    Raises:
        UnreadableInputError: a file cannot be read, or differs from the others in rate, channels or length.
    """
    true, given = tuple(song.stems), tuple(estimates)
    paths = (*song.stems.values(), *estimates.values())
    rows = [_Row(comparison) for comparison in comparisons(true, given)]
    totals = _Totals(true, given)
    for block in _undone(aligned_blocks(paths), len(true), gain_db):
        references = dict(zip(true, block[: len(true)], strict=True))
        guesses = dict(zip(given, block[len(true) :], strict=True))
        mix = block[: len(true)].sum(axis=0)
        for row in rows:
            row.add(references, guesses, mix)
        totals.add(references, guesses, mix)
    for oracle in oracle_errors(song.blocks()):
        errors = dict(zip(true, oracle, strict=True))
        for row in rows:
            row.add_oracle(errors)
    sounding = tuple(name for name in true if totals.references[name] > 0.0)
    levels = {name: ratio_db(totals.estimates[name], totals.mix) for name in given if name in STEMS}
    return SongScores(
        song=song.name,
        seconds=totals.samples / song.sample_rate,
        stems=sounding,
        counts=len(sounding) > 1,
        is_fully_labelled=song.is_fully_labelled,
        scores=tuple(score for row in rows if (score := row.score()) is not None),
        levels_db=levels,
        presence=levels if presence is None else {name: presence[name] for name in levels},
        residual_db=ratio_db(totals.residual_peak**2, totals.mix_peak**2),
        shares=_shares(_undone(aligned_blocks(paths), len(true), gain_db), true, given) if confusion else {},
    )


class _Row:
    """A comparison and its running sums."""

    def __init__(self, comparison: Comparison) -> None:
        self.comparison = comparison
        self._estimate = RunningSdr()
        self._mix = RunningSdr()
        self._oracle_error = 0.0

    def add(self, references: Mapping[str, Signal], estimates: Mapping[str, Signal], mix: Signal) -> None:
        reference = _sum(references, self.comparison.references)
        self._estimate.add(reference, _sum(estimates, self.comparison.estimates))
        self._mix.add(reference, mix)

    def add_oracle(self, errors: Mapping[str, NDArray[np.float32]]) -> None:
        self._oracle_error += energy(_sum(errors, self.comparison.references))

    def score(self) -> Score | None:
        """The row in dB; None where the true stem is silent."""
        sdr_db, mix_db = self._estimate.db, self._mix.db
        if sdr_db is None or mix_db is None:
            return None
        oracle_db = ratio_db(self._estimate.reference, self._oracle_error)
        return Score(self.comparison.name, self.comparison.estimates, sdr_db, mix_db, oracle_db)


class _Totals:
    """Running energies and peaks of a song."""

    def __init__(self, true: tuple[str, ...], given: tuple[str, ...]) -> None:
        self.references = dict.fromkeys(true, 0.0)
        self.estimates = dict.fromkeys(given, 0.0)
        self.mix = self.mix_peak = self.residual_peak = 0.0
        self.samples = 0

    def add(self, references: Mapping[str, Signal], estimates: Mapping[str, Signal], mix: Signal) -> None:
        for name, samples in references.items():
            self.references[name] += energy(samples)
        for name, samples in estimates.items():
            self.estimates[name] += energy(samples)
        self.mix += energy(mix)
        self.mix_peak = max(self.mix_peak, float(np.abs(mix).max()))
        residual = _sum(estimates, tuple(estimates)) - mix
        self.residual_peak = max(self.residual_peak, float(np.abs(residual).max()))
        self.samples += mix.shape[-1]


def _undone(blocks: Iterator[NDArray[np.float32]], n_true: int, gain_db: float) -> Iterator[Signal]:
    """The blocks in double precision, the estimates without their gain."""
    gain = 10.0 ** (-gain_db / 20.0)
    for block in blocks:
        signals = block.astype(np.float64)
        signals[n_true:] *= gain
        yield signals


def _sum(signals: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> NDArray[Any]:
    return sum((signals[name] for name in names[1:]), start=signals[names[0]])


def _shares(blocks: Iterator[Signal], true: tuple[str, ...], given: tuple[str, ...]) -> dict[str, dict[str, float]]:
    shares = energy_shares((block.astype(np.float32) for block in blocks), len(true))
    return {name: dict(zip(given, map(float, row), strict=True)) for name, row in zip(true, shares, strict=True)}
