"""Consistency: outputs that claim the same sound share it, so that together they claim no more than there is.

Networks with a head of its own for each of many instruments are trained head by head: a violin may come out of ``strings``
and of ``woodwinds`` too. Where the magnitudes of the outputs add up to more than that of the song at a point of time and
frequency, all are scaled down there by one factor; elsewhere they are left alone, with the phases that the network gave.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.separation.stft import Analysis, Spectrum, Stft, Synthesis

Samples = NDArray[np.float32]

STFT = Stft(n_fft=2048, hop=512)

BLOCK = 16_384
"""Samples that are worked on at once: the spectra of a whole chunk take more than the network."""

_TINY = 1e-9


def consistent(outputs: Samples, song: Samples) -> Samples:
    """The outputs, none of whose sums of magnitudes is above the song's.

    Args:
        outputs: ``(outputs, channels, samples)``.
        song: ``(channels, samples)``.

    Returns:
        ``(outputs, channels, samples)``.
    """
    count, channels, length = outputs.shape
    analysis, synthesis = Analysis(STFT, (1 + count) * channels), Synthesis(STFT, count * channels)
    shared = np.empty_like(outputs)
    done = 0

    def share(spectra: Spectrum) -> None:
        """``(frames, (song and outputs) * channels, bins)`` -> the next samples of the outputs."""
        nonlocal done
        spectra = spectra.reshape(len(spectra), 1 + count, channels, STFT.n_bins)
        there, claims = np.abs(spectra[:, 0]), spectra[:, 1:]
        claimed = np.abs(claims).sum(axis=1)  # (frames, channels, bins)
        claims *= np.minimum(1, there / np.maximum(claimed, _TINY))[:, np.newaxis]
        samples = synthesis.push(claims.reshape(len(spectra), count * channels, STFT.n_bins))
        samples = samples[:, : length - done].reshape(count, channels, -1)
        shared[..., done : done + samples.shape[2]] = samples
        done += samples.shape[2]

    for start in range(0, length, BLOCK):
        stretch = slice(start, start + BLOCK)
        block = np.concatenate([song[np.newaxis, :, stretch], outputs[..., stretch]])
        share(analysis.push(block.reshape((1 + count) * channels, -1)))
    share(analysis.finish())
    return shared
