"""The render pass: the second of two passes over a song. It renders the parts from the working files and writes them.

The parts add up to the song by construction. All parts but one are rendered, from masks applied to the song's spectrum
at its own rate, or from samples of waveform engines. The last one, the remainder, is the song less the others. Integer
parts are subtracted after rounding, so they add up bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.resample import Resampler
from stemwright.errors import CancelledError
from stemwright.separation.mask_reader import MaskReader
from stemwright.separation.pass_output import MaskOutput, PassOutput, WaveformOutput
from stemwright.separation.presence import Presence
from stemwright.separation.progress import IsCancelled
from stemwright.separation.quantization import PartMeter, Quantization, ResidualMeter, Values, remainder
from stemwright.separation.source import Source
from stemwright.separation.stft import Analysis, Spectrum, Stft, Synthesis

Samples = NDArray[np.float32]
OnSeconds = Callable[[float], None]
Block = tuple[Samples, list[Samples]]
"""A block of the song and of its rendered parts, each ``(channels, samples)``."""

FRAMES = 64
"""Frames of the song per block: 1.5 s at 44.1 kHz."""


class PartSink(Protocol):
    """Receives the samples of one part: an encoder, or an array."""

    def write(self, block: Values) -> None:
        """Writes the next ``(channels, samples)``, integers or floats depending on the quantization."""


class ArraySink(PartSink):
    """Collects a part in memory."""

    def __init__(self) -> None:
        self._blocks: list[Values] = []

    def write(self, block: Values) -> None:
        """See ``PartSink``."""
        self._blocks.append(block)

    @property
    def samples(self) -> Samples:
        """``(channels, samples)``."""
        return np.concatenate(self._blocks, axis=1).astype(np.float32, copy=False)


@dataclass(frozen=True)
class RenderReport:
    """What a render pass measured.

    Attributes:
        parts: meter of each part.
        residual_db: level of the difference between the sum of the parts and the song.
        n_samples: length of the song at its own rate.
    """

    parts: tuple[PartMeter, ...]
    residual_db: float
    n_samples: int

    @property
    def exceeded(self) -> bool:
        """Whether a part exceeded full scale: then the files are incomplete, and the pass is repeated with a gain."""
        return any(part.exceeded for part in self.parts)

    @property
    def peak(self) -> float:
        """Highest peak of all parts in units of full scale."""
        return max(part.peak for part in self.parts)


def render(
    source: Source,
    output: PassOutput,
    presence: Presence,
    sinks: Sequence[PartSink],
    quantization: Quantization,
    *,
    threads: int,
    on_seconds: OnSeconds,
    is_cancelled: IsCancelled,
    mix_sink: PartSink | None = None,
) -> RenderReport:
    """Renders all parts, including silent ones, and writes each to its sink.

    ``mix_sink`` receives the song itself, as floats without the gain.

    Raises:
        CancelledError: ``is_cancelled`` returned true.
    """
    last = _remainder_index(presence)
    rendered = [index for index, present in enumerate(presence.present) if present and index != last]
    others = [index for index in range(len(sinks)) if index not in rendered]
    meters = tuple(PartMeter(quantization) for _ in sinks)
    residual = ResidualMeter(quantization)
    n_samples = 0

    def quantize(index: int, samples: Samples) -> Values:
        values = quantization.apply(samples)
        write(index, values)
        return values

    def write(index: int, values: Values) -> None:
        meters[index].add(values)
        if not meters[index].exceeded:  # otherwise the pass will be repeated, and only measures from here on
            sinks[index].write(values)

    with ThreadPoolExecutor(threads) as pool:
        if isinstance(output, MaskOutput):
            stream = _masked(source, output, presence, rendered, pool)
        else:
            stream = _resampled(source, output, rendered)
        for mix, parts in stream:
            if is_cancelled():
                raise CancelledError("Cancelled; --resume continues where it stopped.")
            whole = quantization.apply(mix)
            values = list(pool.map(quantize, rendered, parts))
            values.append(remainder(whole, values))
            silence = np.zeros_like(whole)
            list(pool.map(write, others, [values[-1] if index == last else silence for index in others]))
            residual.add(mix, values)
            if mix_sink is not None:
                mix_sink.write(mix)
            n_samples += mix.shape[1]
            on_seconds(n_samples / source.sample_rate)
    return RenderReport(meters, residual.residual_db, n_samples)


def _remainder_index(presence: Presence) -> int:
    """The part that is the song less the others: the last one that plays, or the last one in a silent song."""
    playing = [index for index, present in enumerate(presence.present) if present]
    return playing[-1] if playing else len(presence.present) - 1


def _masked(
    source: Source, output: MaskOutput, presence: Presence, rendered: list[int], pool: ThreadPoolExecutor
) -> Iterator[Block]:
    """Blocks of the song and its parts, with masks applied to its spectrum."""
    engine_stft = Stft(output.bands.n_fft, output.hop)
    stft = engine_stft.at_rate(output.sample_rate, source.sample_rate)
    mask_reader = MaskReader(output.rows, presence, engine_stft, output.sample_rate, stft, source.sample_rate)
    band = output.bands.band_of_bins(stft.n_fft, source.sample_rate)  # (bins,)
    analysis = Analysis(stft, source.channels)
    syntheses = {index: Synthesis(stft, source.channels) for index in rendered}
    mix = np.zeros((source.channels, 0), np.float32)

    def parts_of(spectrum: Spectrum) -> Iterator[Block]:
        nonlocal mix
        for start in range(0, len(spectrum), FRAMES):
            frames = spectrum[start : start + FRAMES]
            masks = mask_reader.next(len(frames))  # (frames, parts, channels, bands)

            def synthesise(index: int, frames: Spectrum = frames, masks: Samples = masks) -> Samples:
                part = frames * np.take(masks[:, index], band, axis=-1)  # (frames, channels, bins)
                return syntheses[index].push(part)

            parts = list(pool.map(synthesise, rendered))
            ready = min(mix.shape[1], parts[0].shape[1] if parts else len(frames) * stft.hop)
            yield mix[:, :ready], [part[:, :ready] for part in parts]
            mix = mix[:, ready:]

    for block in source.blocks():
        mix = np.concatenate([mix, block], axis=1)
        yield from parts_of(analysis.push(block))
    yield from parts_of(analysis.finish())


def _resampled(source: Source, output: WaveformOutput, rendered: list[int]) -> Iterator[Block]:
    """Blocks of the song and its parts, resampled from the engines' rate to the song's."""
    stream = _at_song_rate(source, output, rendered)
    ready = np.zeros((len(rendered), source.channels, 0), np.float32)
    for block in source.blocks():
        while ready.shape[2] < block.shape[1] and (more := next(stream, None)) is not None:
            ready = np.concatenate([ready, more], axis=2)
        missing = max(0, block.shape[1] - ready.shape[2])  # both lengths were rounded: a sample or two may be missing
        ready = np.pad(ready, ((0, 0), (0, 0), (0, missing)))
        yield block, list(ready[:, :, : block.shape[1]])
        ready = ready[:, :, block.shape[1] :]


def _at_song_rate(source: Source, output: WaveformOutput, rendered: list[int]) -> Iterator[Samples]:
    """Blocks ``(rendered parts, channels, samples)`` at the song's rate."""
    if not rendered:
        return
    channels = source.channels
    resampler = Resampler(output.sample_rate, source.sample_rate, len(rendered) * channels)
    for samples in output.rows.blocks():  # (samples, parts, channels)
        stacked = samples[:, rendered].reshape(len(samples), -1).T  # (rendered * channels, samples)
        yield resampler.process(np.ascontiguousarray(stacked)).reshape(len(rendered), channels, -1)
    end = np.zeros((len(rendered) * channels, 0), np.float32)
    yield resampler.process(end, last=True).reshape(len(rendered), channels, -1)
