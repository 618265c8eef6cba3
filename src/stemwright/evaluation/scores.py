"""The scores of one song: one pass over the files for the estimates, another for the oracle."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.comparisons import Comparison, comparisons
from stemwright.evaluation.confusion import energy_shares
from stemwright.evaluation.metrics.csdr import joint_silence
from stemwright.evaluation.metrics.log_wmse import WeightedEnergy, log_wmse
from stemwright.evaluation.metrics.metric_set import MetricSet, needs_two_passes
from stemwright.evaluation.oracle import oracle_errors
from stemwright.evaluation.reference_songs import Files, ReferenceSong, aligned_blocks
from stemwright.evaluation.sdr import RunningSdr, energy, ratio_db
from stemwright.stems import STEMS

Signal = NDArray[np.float64]

MIX_ERROR_DB = -60.0
"""A mix that differs more from the sum of its true stems contains other sounds."""


@dataclass(frozen=True)
class Score:
    """One row of one song, all in dB.

    Attributes:
        name: a stem, ``singing``, ``instrumental`` or ``unlabelled``.
        estimates: names of the estimates whose sum was compared.
        sdr_db: SDR of the estimate.
        mix_db: SDR of the mix as the estimate.
        oracle_db: SDR of the ideal ratio mask.
        metrics: the other requested metrics by name; None if one is undefined.
    """

    name: str
    estimates: tuple[str, ...]
    sdr_db: float
    mix_db: float
    oracle_db: float
    metrics: Mapping[str, float | None] = field(default_factory=dict)


@dataclass(frozen=True)
class SongScores:
    """The scores of one song.

    Attributes:
        song: its name.
        seconds: its length.
        stems: the true stems that are not silent; a silent file counts as an absent stem.
        counts: whether it is included in medians. Songs with one stem are not.
        is_fully_labelled: whether stems without a file are known to be absent.
        scores: the rows.
        levels_db: level of each of the twelve estimates relative to the mix.
        presence: presence score of each of the twelve stems, from the separator; the level for given estimates.
        residual_db: peak of (sum of the estimates - mix) in dB of the mix's peak; -200 if it is zero.
        shares: share of each true stem's energy in each estimate, by both names; empty unless requested.
        mix_error_db: peak of (sum of the true stems - mix) in dB of the mix's peak; None if the mix is that sum.
        uncertain: stems that may be part of a coarser label, so their presence is unknown.
        absent_log_wmse: log-WMSE of each estimate of an absent stem; empty unless requested.
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
    mix_error_db: float | None = None
    uncertain: tuple[str, ...] = ()
    absent_log_wmse: Mapping[str, float] = field(default_factory=dict)

    @property
    def absent(self) -> tuple[str, ...]:
        """Estimated stems that are known to be absent from the song."""
        known = (*self.stems, *self.uncertain)
        return tuple(name for name in self.levels_db if self.is_fully_labelled and name not in known)


def score_song(
    song: ReferenceSong,
    estimates: Mapping[str, Files],
    *,
    gain_db: float = 0.0,
    presence: Mapping[str, float] | None = None,
    confusion: bool = False,
    metrics: Collection[str] = (),
) -> SongScores:
    """Scores the estimates of one song.

    Args:
        song: the true stems.
        estimates: file of each estimate, by name.
        gain_db: gain of the estimates, which is undone before the comparison.
        presence: the separator's presence scores by stem; None uses the levels.
        confusion: whether to compute the confusion matrix, which doubles the time.
        metrics: metrics besides the SDR. Bleedless and fullness read the files once more.

    Raises:
        UnreadableInputError: a file cannot be read, or differs from the others in rate, channels or length.
    """
    signals = _SongSignals(song, estimates, gain_db)
    true, given = signals.true, signals.given
    rows = [_RunningComparison(row, metrics, song.sample_rate) for row in comparisons(true, given, song.coarse)]
    if needs_two_passes(metrics):
        for references, estimate_blocks, _ in signals.blocks():
            for row in rows:
                row.add_first_pass(references, estimate_blocks)
    totals = _Totals(true, given)
    weighted = _LogWmseEnergies(song, given) if "log_wmse" in metrics else None
    for references, estimate_blocks, mix in signals.blocks():
        for row in rows:
            row.add(references, estimate_blocks, mix)
        totals.add(references, estimate_blocks, mix)
        if weighted is not None:
            weighted.add(estimate_blocks, mix)
    for oracle in oracle_errors(song.sources()):
        errors = dict(zip(true, oracle, strict=False))  # the remainder of the mix has no row
        for row in rows:
            row.add_oracle(errors)
    sounding = tuple(name for name in true if totals.references[name] > 0.0)
    levels = {name: ratio_db(totals.estimates[name], totals.mix) for name in given if name in STEMS}
    mix_error_db = None if song.mix is None else ratio_db(totals.mix_error_peak**2, totals.mix_peak**2)
    whole = mix_error_db is None or mix_error_db <= MIX_ERROR_DB
    frames_db = {row.comparison.name: frames for row in rows if (frames := row.metrics.frames_db) is not None}
    joint_frames_db = frames_db if song.joint_frames else {}
    weighted_mix = None if weighted is None else weighted.mix
    scored = SongScores(
        song=song.name,
        seconds=totals.samples / song.sample_rate,
        stems=sounding,
        counts=len(sounding) > 1 or (len(sounding) == 1 and not whole),
        is_fully_labelled=song.is_fully_labelled and whole,
        scores=tuple(score for row in rows if (score := row.score(weighted_mix, joint_frames_db)) is not None),
        levels_db=levels,
        presence=levels if presence is None else {name: presence[name] for name in levels},
        residual_db=ratio_db(totals.residual_peak**2, totals.mix_peak**2),
        shares=_shares(signals) if confusion else {},
        mix_error_db=mix_error_db,
        uncertain=tuple(stem for stem in STEMS if any(stem in song.coarse.get(name, ()) for name in sounding)),
    )
    return scored if weighted is None else replace(scored, absent_log_wmse=weighted.of_absent(scored.absent))


class _SongSignals:
    """The signals of a song: true stems, mix, and estimates without their gain."""

    def __init__(self, song: ReferenceSong, estimates: Mapping[str, Files], gain_db: float) -> None:
        self.true, self.given = tuple(song.stems), tuple(estimates)
        self._mix = () if song.mix is None else (song.mix,)
        self._files = (*song.stems.values(), *self._mix, *estimates.values())
        self._uneven = len(self.true) if song.uneven else 0
        self._gain = 10.0 ** (-gain_db / 20.0)

    def blocks(self) -> Iterator[tuple[Mapping[str, Signal], Mapping[str, Signal], Signal]]:
        """True stems and estimates by name, and the mix, block by block: ``(channels, samples)`` each."""
        n_references = len(self.true)
        first = n_references + len(self._mix)
        for block in aligned_blocks(self._files, uneven=self._uneven):
            signals = block.astype(np.float64)
            signals[first:] *= self._gain
            mix = signals[n_references] if self._mix else signals[:n_references].sum(axis=0)
            yield (
                dict(zip(self.true, signals[:n_references], strict=True)),
                dict(zip(self.given, signals[first:], strict=True)),
                mix,
            )


class _RunningComparison:
    """A comparison and its running sums."""

    def __init__(self, comparison: Comparison, metrics: Collection[str], sample_rate: int) -> None:
        self.comparison = comparison
        self.metrics = MetricSet(metrics, sample_rate)
        self._estimate = RunningSdr()
        self._mix = RunningSdr()
        self._oracle_error = 0.0

    def add_first_pass(self, references: Mapping[str, Signal], estimates: Mapping[str, Signal]) -> None:
        row = self.comparison
        self.metrics.add_first_pass(_sum(references, row.references), _sum(estimates, row.estimates))

    def add(self, references: Mapping[str, Signal], estimates: Mapping[str, Signal], mix: Signal) -> None:
        reference = _sum(references, self.comparison.references)
        estimate = _sum(estimates, self.comparison.estimates)
        self._estimate.add(reference, estimate)
        self._mix.add(reference, mix)
        self.metrics.add(reference, estimate)

    def add_oracle(self, errors: Mapping[str, NDArray[np.float32]]) -> None:
        self._oracle_error += energy(_sum(errors, self.comparison.references))

    def score(self, mix: WeightedEnergy | None, frames_db: Mapping[str, Signal]) -> Score | None:
        """The row in dB; None if the true stem is silent."""
        sdr_db, mix_db = self._estimate.db, self._mix.db
        if sdr_db is None or mix_db is None:
            return None
        oracle_db = ratio_db(self._estimate.reference, self._oracle_error)
        name = self.comparison.name
        metrics = self.metrics.close(mix, joint_silence(frames_db, name))
        return Score(name, self.comparison.estimates, sdr_db, mix_db, oracle_db, metrics)


class _LogWmseEnergies:
    """Energies for log-WMSE: the weighted mix and the weighted estimates of all stems."""

    def __init__(self, song: ReferenceSong, given: tuple[str, ...]) -> None:
        self.mix = WeightedEnergy(song.sample_rate)
        self._estimates = {name: WeightedEnergy(song.sample_rate) for name in given if name in STEMS}

    def add(self, estimates: Mapping[str, Signal], mix: Signal) -> None:
        self.mix.add(mix)
        for name, energy_of in self._estimates.items():
            energy_of.add(estimates[name])

    def of_absent(self, names: Collection[str]) -> dict[str, float]:
        """The score of each estimate with silence as the reference."""
        return {name: log_wmse(self._estimates[name], self.mix) for name in names}


class _Totals:
    """Running energies and peaks of a song."""

    def __init__(self, true: tuple[str, ...], given: tuple[str, ...]) -> None:
        self.references = dict.fromkeys(true, 0.0)
        self.estimates = dict.fromkeys(given, 0.0)
        self.mix = self.mix_peak = self.residual_peak = self.mix_error_peak = 0.0
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
        mix_error = _sum(references, tuple(references)) - mix
        self.mix_error_peak = max(self.mix_error_peak, float(np.abs(mix_error).max()))
        self.samples += mix.shape[-1]


def _sum(signals: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> NDArray[Any]:
    return sum((signals[name] for name in names[1:]), start=signals[names[0]])


def _shares(signals: _SongSignals) -> dict[str, dict[str, float]]:
    stacked = (
        np.stack([*references.values(), *estimates.values()]).astype(np.float32)
        for references, estimates, _ in signals.blocks()
    )
    shares = energy_shares(stacked, len(signals.true))
    return {
        name: dict(zip(signals.given, map(float, row), strict=True))
        for name, row in zip(signals.true, shares, strict=True)
    }
