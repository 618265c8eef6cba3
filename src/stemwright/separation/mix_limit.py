"""Limits overlapping stems to the mix.

A network with a separate head per instrument is trained head by head, so a violin may be in the outputs ``strings`` and
``woodwinds``. In each bin where the magnitudes of the outputs add up to more than that of the mix, all are scaled down
by one factor. Phases do not change.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.separation.stft import Analysis, Spectrum, Stft, Synthesis

Samples = NDArray[np.float32]

STFT = Stft(n_fft=2048, hop=512)

BLOCK = 16_384
"""Samples per block: the spectra of a whole chunk would take more memory than the network."""

_TINY = 1e-9


def limit_to_mix(outputs: Samples, mix: Samples) -> Samples:
    """Scales the outputs down where the sum of their magnitudes exceeds the mix.

    Args:
        outputs: ``(outputs, channels, samples)``.
        mix: ``(channels, samples)``.

    Returns:
        ``(outputs, channels, samples)``.
    """
    count, channels, length = outputs.shape
    analysis, synthesis = Analysis(STFT, (1 + count) * channels), Synthesis(STFT, count * channels)
    limited = np.empty_like(outputs)
    done = 0

    def limit(spectra: Spectrum) -> None:
        """``(frames, (mix and outputs) * channels, bins)`` -> the next samples of the outputs."""
        nonlocal done
        spectra = spectra.reshape(len(spectra), 1 + count, channels, STFT.n_bins)
        mix_magnitude, stems = np.abs(spectra[:, 0]), spectra[:, 1:]
        magnitude_sum = np.abs(stems).sum(axis=1)  # (frames, channels, bins)
        stems *= np.minimum(1, mix_magnitude / np.maximum(magnitude_sum, _TINY))[:, np.newaxis]
        samples = synthesis.push(stems.reshape(len(spectra), count * channels, STFT.n_bins))
        samples = samples[:, : length - done].reshape(count, channels, -1)
        limited[..., done : done + samples.shape[2]] = samples
        done += samples.shape[2]

    for start in range(0, length, BLOCK):
        block_slice = slice(start, start + BLOCK)
        block = np.concatenate([mix[np.newaxis, :, block_slice], outputs[..., block_slice]])
        limit(analysis.push(block.reshape((1 + count) * channels, -1)))
    limit(analysis.finish())
    return limited
