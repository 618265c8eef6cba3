"""The ideal ratio mask: what a masking separator could reach at best, if it knew the true stems.

Each stem's mask is ``|S_i| / sum_j |S_j|`` at every point of the STFT, channel by channel (Liutkus and Badeau,
"Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015, with an exponent of one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stemwright.evaluation.stft_stream import Samples, Spectra, samples, spectra

_TINY = np.float32(1e-20)


def oracle_errors(references: Iterable[Samples]) -> Iterator[Samples]:
    """Blocks of true stems ``(stems, channels, samples)`` -> blocks of ``estimate - stem``, the oracle's error.

    The blocks that come out have other lengths than those that went in, and up to a hop of silence behind the last.
    The STFT is linear, so the error is made directly, and the error of a sum of stems is the sum of their errors.
    """
    return samples(_masked_errors(spectra(references)))


def _masked_errors(blocks: Iterable[Spectra]) -> Iterator[Spectra]:
    for stems in blocks:  # (stems, channels, frames, bins)
        magnitudes = np.abs(stems)
        masks = magnitudes / (magnitudes.sum(axis=0) + _TINY)
        yield masks * stems.sum(axis=0) - stems
