"""cSDR: the median of the SDR of one-second frames, as in museval (BSS Eval v4).

Stöter, Liutkus and Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018; package ``museval``. BSS Eval
splits the error into spatial distortion, interference and artifacts with filters of 512 taps that match the true stems
to the estimate. Its SDR divides by the energy of their sum, which is ``estimate - reference`` for any filters. So the
SDR of a second needs no filter:

    SDR_t = 10 log10( sum ref_t^2 / sum (est_t - ref_t)^2 )

over the samples and channels of second ``t``. It is undefined in seconds where the reference or the estimate is silent.
An incomplete last second is ignored, unless the song is shorter than a second.

Memory: one second of audio and one value per second.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.sdr import LIMIT_DB, Samples

Signal = NDArray[np.float64]


class RunningCsdr:
    """The SDR of every second of a song.

    Args:
        sample_rate: Hz; a frame is one second.
    """

    def __init__(self, sample_rate: int) -> None:
        self._length = sample_rate
        self._frames_db: list[float] = []
        self._reference: Signal | None = None
        self._estimate: Signal | None = None

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each."""
        held = _joined(self._reference, reference), _joined(self._estimate, estimate)
        whole = held[0].shape[-1] // self._length * self._length
        for start in range(0, whole, self._length):
            frame = slice(start, start + self._length)
            self._frames_db.append(_frame_db(held[0][:, frame], held[1][:, frame]))
        self._reference, self._estimate = held[0][:, whole:], held[1][:, whole:]

    @property
    def frames_db(self) -> NDArray[np.float64]:
        """The SDR of each second in dB, ``(seconds,)``; NaN where the reference or the estimate is silent."""
        if self._frames_db or self._reference is None or self._estimate is None:
            return np.array(self._frames_db)
        return np.array([_frame_db(self._reference, self._estimate)])


def median_db(frames_db: NDArray[np.float64]) -> float | None:
    """The median of all frames that are not NaN; None if there are none."""
    known = frames_db[~np.isnan(frames_db)]
    return float(np.median(known)) if known.size else None


def joint_silence(frames_db: Mapping[str, NDArray[np.float64]], name: str) -> NDArray[np.bool_] | None:
    """The seconds that museval ignores: those in which any row of the same group is silent.

    Groups are the stems of a song, and singing with instrumental. Rows that are silent throughout, which museval
    rejects, have no effect on other rows.

    Args:
        frames_db: frames of each row of a song.
        name: name of the row.

    Returns:
        ``(seconds,)``; None if nothing was measured.
    """
    together = [
        np.isnan(frames)
        for row, frames in frames_db.items()
        if (row in ("vocals", "instrumental") if name == "instrumental" else row != "instrumental")
    ]
    return (
        np.logical_or.reduce([silent for silent in together if not silent.all()], initial=False) if together else None
    )


def _joined(held: Signal | None, block: Samples) -> Signal:
    new = np.asarray(block, dtype=np.float64)
    return new if held is None else np.concatenate([held, new], axis=-1)


def _frame_db(reference: Signal, estimate: Signal) -> float:
    # in museval a frame is silent if its channels sum to zero at every sample
    if not reference.sum(axis=0).any() or not estimate.sum(axis=0).any():
        return float("nan")
    error = float(np.sum((estimate - reference) ** 2))
    signal = float(np.sum(reference**2))
    return LIMIT_DB if error == 0.0 else min(LIMIT_DB, 10.0 * float(np.log10(signal / error)))
