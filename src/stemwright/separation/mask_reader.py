"""Reads masks from the working file for the frames of a song at its own sample rate.

Masks are functions of time and frequency, so stems need no resampling: at another rate than the engine's, masks are
interpolated between the two nearest frames of the engine, and read at the frequencies of the bins
(``BandLayout.band_of_bins``). Bins above the engine's top frequency use the top band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.separation.presence import Presence
from stemwright.separation.stft import Stft
from stemwright.separation.working_files import RowFile

Samples = NDArray[np.float32]


class MaskReader:
    """Reads masks frame by frame. The shares of absent parts are distributed among the present ones."""

    def __init__(
        self, rows: RowFile, presence: Presence, engine_stft: Stft, engine_rate: int, stft: Stft, sample_rate: int
    ) -> None:
        self._rows = rows
        self._absent = ~np.array(presence.present)
        self._next = 0
        # Frame j of the song is centred on sample (j + 1) hop - n_fft / 2 (stft.py). Solved for the engine's frame at
        # that time it is scale * j + offset; at the engine's own rate exactly 1 and 0.
        ratio = engine_rate / sample_rate
        self._scale = stft.hop * ratio / engine_stft.hop
        self._offset = ((stft.hop - stft.n_fft / 2) * ratio + engine_stft.n_fft / 2 - engine_stft.hop) / engine_stft.hop

    def next(self, count: int) -> Samples:
        """Masks of the next ``count`` frames, ``(frames, parts, channels, bands)``, summing to one over the parts."""
        position = self._scale * np.arange(self._next, self._next + count) + self._offset
        self._next += count
        last_row = self._rows.n_rows - 1
        position = np.clip(position, 0, last_row)
        below = position.astype(np.int64)
        above = np.minimum(below + 1, last_row)
        read = self._rows.read(int(below[0]), int(above[-1]) + 1).astype(np.float32)
        share = (position - below).astype(np.float32)[:, None, None, None]
        masks: Samples = read[below - below[0]]
        if share.any():
            masks = masks * (1 - share) + read[above - below[0]] * share
        masks[:, self._absent] = 0
        masks /= np.maximum(masks.sum(axis=1, keepdims=True), 1e-6)
        return masks
