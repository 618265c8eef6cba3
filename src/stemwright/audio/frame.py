"""Decoded frames as arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.downmix import fold_matrix

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Block = NDArray[np.float32]


def to_float(frame: AudioFrame) -> Block:
    """A decoded frame as ``(file channels, samples)`` float32; integers scaled by their own full scale, exactly."""
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(frame.samples, -1).T  # (1, samples * channels) to (channels, samples)
    if raw.dtype == np.float32:
        return np.ascontiguousarray(raw)
    if raw.dtype == np.float64:
        with np.errstate(over="ignore"):  # to infinity, which the caller rejects
            return np.ascontiguousarray(raw.astype(np.float32))
    if raw.dtype == np.uint8:
        return np.ascontiguousarray((raw.astype(np.float32) - 128) / 128)
    # 24 bits are decoded as 32 with eight zero bits: exact in float32.
    return np.ascontiguousarray(raw.astype(np.float32)) / np.float32(2 ** (8 * raw.dtype.itemsize - 1))


def folded(frame: AudioFrame) -> Block:
    """A decoded frame as ``(1 or 2, samples)`` float32: more than two channels become stereo."""
    samples = to_float(frame)
    if samples.shape[0] > 2:
        return fold_matrix([channel.name for channel in frame.layout.channels]) @ samples
    return samples


def with_channels(samples: Block, channels: int) -> Block:
    """Mono or stereo ``(1 or 2, samples)`` as ``(channels, samples)``."""
    if samples.shape[0] == channels:
        return samples
    if channels == 2:
        return np.repeat(samples, 2, axis=0)
    mono: Block = samples.mean(axis=0, keepdims=True, dtype=np.float32)
    return mono
