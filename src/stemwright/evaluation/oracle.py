"""The ideal ratio mask: the upper bound of separation by masks, computed from the true stems.

The mask of each stem is ``|S_i| / sum_j |S_j|`` in every bin of the STFT, for each channel (Liutkus and Badeau,
"Generalized Wiener filtering with fractional power spectrograms", ICASSP 2015, with an exponent of one).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from stemwright.evaluation.stft_stream import Samples, Spectra, samples, spectra

_TINY = np.float32(1e-20)


def oracle_errors(references: Iterable[Samples]) -> Iterator[Samples]:
    """Blocks of true stems ``(stems, channels, samples)`` -> blocks of the oracle's error ``estimate - stem``.

    Block lengths differ from those of the input, and up to a hop of silence is appended. The STFT is linear, so the
    error is computed directly, and the error of a sum of stems is the sum of their errors.
    """
    return samples(_masked_errors(spectra(references)))


def _masked_errors(blocks: Iterable[Spectra]) -> Iterator[Spectra]:
    for stems in blocks:  # (stems, channels, frames, bins)
        magnitudes = np.abs(stems)
        masks = magnitudes / (magnitudes.sum(axis=0) + _TINY)
        yield masks * stems.sum(axis=0) - stems
