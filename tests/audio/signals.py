"""Signals and files for the tests of the audio package; files are not made by the package itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.input_file import SourceFormat

Samples = NDArray[np.float32]


def noise(channels: int, samples: int, seed: int = 0) -> Samples:
    """Low-pass noise ``(channels, samples)`` at about -20 dB: every codec keeps it, and only one offset fits it."""
    raw = np.random.default_rng(seed).standard_normal((channels, samples + 14))
    kernel = np.hanning(17)[1:-1] / 8
    return np.stack([np.convolve(row, kernel, "valid")[:samples] for row in raw]).astype(np.float32) * np.float32(0.1)


def offset(given: Samples, expected: Samples) -> int:
    """By how many samples ``given`` comes later than ``expected``: the peak of their cross-correlation."""
    size = 1 << (given.shape[1] + expected.shape[1]).bit_length()
    product = np.fft.rfft(given[0], size) * np.conj(np.fft.rfft(expected[0], size))
    lag = int(np.argmax(np.fft.irfft(product, size)))
    return lag - size if lag > size // 2 else lag


def snr_db(given: Samples, expected: Samples) -> float:
    error = np.sum((given.astype(np.float64) - expected) ** 2)
    return float(10 * np.log10(np.sum(expected.astype(np.float64) ** 2) / error))


def read(path: Path, start_s: float = 0.0, duration_s: float | None = None) -> tuple[Samples, SourceFormat, list[str]]:
    with Decoder(path, start_s=start_s, duration_s=duration_s) as decoder:
        blocks = list(decoder)
        samples = np.concatenate(blocks, axis=1)
        assert decoder.samples == samples.shape[1]
        assert samples.dtype == np.float32
        return samples, decoder.format, decoder.notes


def write_av(
    path: Path,
    samples: NDArray[Any],
    codec: str,
    *,
    rate: int = 44100,
    sample_format: str = "fltp",
    layout: str = "stereo",
    muxer: str | None = None,
    options: dict[str, str] | None = None,
    bit_rate: int | None = None,
    with_picture: bool = False,
) -> None:
    """Encode ``(channels, samples)`` with PyAV directly."""
    with av.open(str(path), "w", format=muxer, container_options=options or {}) as container:
        if with_picture:
            picture: Any = container.add_stream("mpeg4", rate=25)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        stream: Any = container.add_stream(codec, rate=rate, layout=layout)
        stream.codec_context.format = sample_format
        if bit_rate is not None:
            stream.bit_rate = bit_rate
        if with_picture:
            for packet in picture.encode(av.VideoFrame(64, 64, "yuv420p")):
                container.mux(packet)
        for start in range(0, samples.shape[1], 4096):
            block = samples[:, start : start + 4096]
            if not sample_format.endswith("p"):
                block = block.T.reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(block), format=sample_format, layout=layout)
            frame.sample_rate = rate
            frame.pts = start
            frame.time_base = Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if with_picture:
            container.mux(picture.encode(None))
