"""Converts in-memory songs to ``(channels, samples)`` float32.

Accepted are NumPy arrays, nested lists of floats, and everything that NumPy can read: tensors (also on a GPU, or with a
gradient), ``__array__``, the buffer protocol, DLPack.

Full scale is 1 for floats. Integers are scaled by their type: ``int16`` by 2^15, ``int32`` by 2^31; unsigned ones are
centred on half of their range, as in 8-bit WAV. NumPy converts Python integers to 64 bits, so these are scaled by 2^63
only if they need more than 32 bits; smaller ones would be silence, and are rejected unless all are -1, 0 or 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright import arguments
from stemwright.errors import UnreadableInputError, UsageError

Samples = NDArray[np.float32]

LOWEST_RATE_HZ, HIGHEST_RATE_HZ = 1_000, 1_536_000
"""Range of valid sample rates."""

EXPECTED = "give an array (channels, samples) of floats between -1 and 1, or of integers such as int16"


def as_samples(song: object) -> Samples:
    """``(channels, samples)`` float32, one or two channels, all finite.

    Raises:
        UsageError: it is not an array of numbers, or integers without a known full scale.
        UnreadableInputError: it is empty, of another shape, or holds NaN or infinity.
    """
    array = _as_array(song)
    _check_shape(array.shape)
    scaled = _scaled(array)
    if not np.isfinite(scaled).all():
        raise UnreadableInputError("The array holds NaN or infinity; replace those samples first.")
    return scaled


def as_rate(rate: object) -> int:
    """A sample rate in Hz, of any numeric type or of text.

    Raises:
        UsageError: it is not a whole number of Hz, or out of range.
    """
    return arguments.whole(rate, "sample_rate", "Hz", lowest=LOWEST_RATE_HZ, highest=HIGHEST_RATE_HZ)


def _as_array(song: object) -> NDArray[Any]:
    if song is None or isinstance(song, str | bytes | dict | set | frozenset):
        raise UsageError(f"samples is of type {type(song).__name__}: {EXPECTED}; separate_file takes files.")
    try:
        array = _read(song)
    except Exception as error:  # conversions of other libraries' types may raise anything
        raise UsageError(
            f"samples, of type {type(song).__name__}, is not an array of numbers ({error}): {EXPECTED}."
        ) from error
    if np.ma.is_masked(song):
        raise UsageError("samples has masked values: fill them first, with samples.filled(0).")
    if array.dtype.kind not in "fiu":
        raise UsageError(f"samples is an array of {array.dtype}: {EXPECTED}.")
    return array


def _read(song: Any) -> NDArray[Any]:
    if isinstance(song, np.ndarray):
        return np.asarray(song)
    if hasattr(song, "detach") and hasattr(
        song, "cpu"
    ):  # torch: on a GPU, with a gradient, or of a type that NumPy does not have
        song = song.detach().cpu()
        if song.is_floating_point():
            song = song.float()
        return np.asarray(song.resolve_conj().resolve_neg() if hasattr(song, "resolve_neg") else song)
    if not hasattr(song, "__array__") and hasattr(song, "__dlpack__"):
        return np.from_dlpack(song)
    if not hasattr(song, "__array__") and not hasattr(song, "__len__") and hasattr(song, "__iter__"):
        song = list(song)
    return np.asarray(song)


def _check_shape(shape: tuple[int, ...]) -> None:
    if len(shape) == 2 and shape[0] in (1, 2) and shape[1]:
        return
    hint = "give (channels, samples) with 1 or 2 channels"
    if len(shape) == 2 and shape[1] in (1, 2) and shape[0]:
        hint = "this looks like (samples, channels), so give its transpose, samples.T"
    elif len(shape) == 1 and shape[0]:
        hint = "for one channel give samples[np.newaxis]"
    raise UnreadableInputError(f"An array of shape {shape} is not a song; {hint}.")


def _scaled(array: NDArray[Any]) -> Samples:
    kind, bits = array.dtype.kind, 8 * array.dtype.itemsize
    if kind == "f":
        with np.errstate(over="ignore"):  # values beyond float32 become infinity, which is rejected
            return np.ascontiguousarray(array, np.float32)
    half = 2.0 ** (bits - 1)
    lowest, highest = int(array.min()), int(array.max())
    if bits == 64 and lowest >= -(2**32) and highest <= 2**32:
        if lowest < -1 or highest > 1:
            raise UsageError(
                f"Whole numbers as {array.dtype} have no known full scale: give floats between -1 and 1, "
                "or the type that the samples had, as samples.astype(np.int16)."
            )
        return np.ascontiguousarray(array, np.float32)
    middle = half if kind == "u" else 0.0
    # the ratio is a power of two: integers of up to 24 bits are exact
    return np.ascontiguousarray((array.astype(np.float64) - middle) / half, np.float32)
