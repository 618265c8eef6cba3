"""Presence: whether a stem plays in a song.

A mask is never exactly zero, so every stem of every song has some energy. A stem that plays has a larger share of the
mix at its loudest than leakage has. The song is cut into segments of one second. The share of a stem in a segment is
the part of the mix that its masks pass (``chunk_runner.MaskRunner.levels``), or for waveform engines its energy
relative to the mix. An instrument may play in a single bridge, so the level of a stem is the share that it reaches in a
twentieth of the song. A logistic curve maps this level to a score.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

SEGMENT_S = 1.0
"""Length of segments in seconds."""

THRESHOLD_DB = -36.0
"""Share of the mix, in dB, above which a stem counts as playing.

In held-out composed songs 98 % of present stems are above it in one corpus, and above -48 dB in another
(`python -m training.data.presence_threshold CORPUS`). Absent stems have a median of -32 dB in recordings, so the higher
threshold is used. A present stem that is silenced is lost, while an absent stem that is kept is only faint leakage, so
the threshold is low.
"""

SLOPE_DB = 7.0
"""Level change in dB that changes the odds by a factor e: the slope of the logistic curve fitted to those songs."""

QUIET_DB = -60.0
"""Segments this far below the loudest one are ignored: their shares are noise."""

TOP_SHARE = 0.05
"""Fraction of the song in which a stem must play to be present."""

SILENT_DB = -120.0
"""Level of a part without energy."""


@dataclass(frozen=True)
class Presence:
    """Presence of each part, in order.

    Attributes:
        levels_db: share of the mix in the loudest twentieth of the song.
        scores: 0 to 1.
        present: whether it counts as playing.
    """

    levels_db: tuple[float, ...]
    scores: tuple[float, ...]
    present: tuple[bool, ...]

    def known(self, playing: Sequence[bool]) -> Presence:
        """The same where it is known which parts play. In a silent song, or if no part does, it stays as it is."""
        if not any(playing) or not any(self.present):
            return self
        return replace(self, present=tuple(playing))


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
        present[-1] = True  # the song is not silent, so the last part takes its sound
    return Presence(
        levels_db=tuple(float(level) for level in level_db),
        scores=tuple(float(score) for score in scores),
        present=tuple(bool(flag) for flag in present),
    )
