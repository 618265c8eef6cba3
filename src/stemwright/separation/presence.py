"""Presence: whether a stem plays in a song.

A mask is never exactly zero, so every stem of every song has some energy. A stem that plays differs from leakage by its
share of the mix where it is strongest. The song is cut into segments of one second. The share of a stem in a segment is the
part of the mix that its masks pass (``chunk_runner.MaskRunner.levels``; for waveform engines its energy over that of the
mix). An instrument may play in one bridge only, so the level that counts is the one that the share reaches in a twentieth of
the song. A logistic curve maps that level to a score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SEGMENT_S = 1.0
"""Length in seconds of the segments in which energy is summed."""

THRESHOLD_DB = -36.0
"""Share of the mix, in dB, above which a stem counts as playing.

98 % of the stems that play in composed songs kept out of training lie above it in one corpus, above -48 dB in another
(`python -m training.data.presence_threshold CORPUS`). Stems that do not play have -32 dB in the median of recordings, so
the higher one is used. A stem silenced by mistake is lost, an absent stem that stays costs a faint leak, so the threshold
is low.
"""

SLOPE_DB = 7.0
"""dB over which the odds change by a factor e: the slope of the logistic curve that fits those songs best."""

QUIET_DB = -60.0
"""Segments this far below the loudest one are skipped: their shares are those of noise."""

TOP_SHARE = 0.05
"""Share of the song that decides: a stem that plays in this much of it is present."""

SILENT_DB = -120.0
"""Level of a part without energy."""


@dataclass(frozen=True)
class Presence:
    """Presence of each part, in order.

    Attributes:
        levels_db: share of the mix in its best twentieth of the song.
        scores: 0 to 1.
        present: whether it counts as playing.
    """

    levels_db: tuple[float, ...]
    scores: tuple[float, ...]
    present: tuple[bool, ...]


def level_rows(
    part_energy: NDArray[np.float64], mix_energy: NDArray[np.float64], per_segment: int
) -> NDArray[np.float64]:
    """Sums energies over segments.

    Args:
        part_energy: ``(units, parts)``, units being frames or samples.
        mix_energy: ``(units,)``.
        per_segment: units in a segment.

    Returns:
        ``(segments, parts + 2)``: units in the segment, energy of the mix, energy of each part.
    """
    starts = np.arange(0, len(mix_energy), per_segment)
    counts = np.diff(np.append(starts, len(mix_energy)))
    return np.column_stack([counts, np.add.reduceat(mix_energy, starts), np.add.reduceat(part_energy, starts, axis=0)])


def score_presence(levels: NDArray[np.float64]) -> Presence:
    """Scores the parts of a song from its level rows, ``(segments, parts + 2)``. In a silent song nothing is present."""
    level_db = np.full(levels.shape[1] - 2, SILENT_DB)
    power = levels[:, 1] / np.maximum(levels[:, 0], 1)
    loud = power > power.max(initial=0) * 10 ** (QUIET_DB / 10)
    if loud.any():
        shares = levels[loud, 2:] / levels[loud, 1:2]
        top = np.quantile(shares, 1 - TOP_SHARE, axis=0)
        level_db = 10 * np.log10(np.maximum(top, 10 ** (SILENT_DB / 10)))
    scores = 1 / (1 + np.exp(-(level_db - THRESHOLD_DB) / SLOPE_DB))
    present = scores >= 0.5
    if not present.any() and (level_db > SILENT_DB).any():
        present[-1] = True  # the song is not silent, so the last part holds what plays
    return Presence(
        levels_db=tuple(float(level) for level in level_db),
        scores=tuple(float(score) for score in scores),
        present=tuple(bool(flag) for flag in present),
    )
