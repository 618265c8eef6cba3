"""The second pass: the whole song is known, so the parts are made from the working files and written.

The parts of a song add up to it by construction. Every part but one is made: by its masks, applied to the song's own
spectrum at the song's own rate, or from the samples that engines made. The one left, the closing part, is the song less
the others. Where the parts are integers the subtraction is done in integers, after rounding, so they add up bit for bit.
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
from stemwright.separation.pass_output import Heard, HeardMasks, HeardWaveforms
from stemwright.separation.presence import Presence
from stemwright.separation.progress import IsCancelled
from stemwright.separation.quantization import PartAccount, Rounding, SumAccount, Values, closing_part
from stemwright.separation.source import Source
from stemwright.separation.stft import Analysis, Spectrum, Stft, Synthesis

Samples = NDArray[np.float32]
OnSeconds = Callable[[float], None]
Block = tuple[Samples, list[Samples]]
"""The song and its made parts over the same time, each ``(channels, samples)``."""

FRAMES = 64
"""Frames of the song that are worked on at once: 1.5 s at 44.1 kHz."""


class Sink(Protocol):
    """Where the samples of one part go: an encoder, or an array."""

    def write(self, block: Values) -> None:
        """Takes the next ``(channels, samples)``, integers or floats as the rounding says."""


@dataclass(frozen=True)
class Finish:
    """What a finishing pass found out.

    Attributes:
        parts: account of each part.
        residual_db: how far the sum of the parts is from the song.
        n_samples: length of the song at its own rate.
    """

    parts: tuple[PartAccount, ...]
    residual_db: float
    n_samples: int

    @property
    def exceeded(self) -> bool:
        """Whether a part left full scale. Then what was written is not to be kept, and a gain is needed."""
        return any(part.exceeded for part in self.parts)

    @property
    def peak(self) -> float:
        """Highest peak of all parts in units of full scale."""
        return max(part.peak for part in self.parts)


def finish(
    source: Source,
    heard: Heard,
    presence: Presence,
    sinks: Sequence[Sink],
    rounding: Rounding,
    *,
    threads: int,
    on_seconds: OnSeconds,
    is_cancelled: IsCancelled,
) -> Finish:
    """Makes the parts and writes each to its sink, a silent one too.

    Raises:
        CancelledError: ``is_cancelled`` said so.
    """
    closing = _closing_place(presence)
    made = [place for place, present in enumerate(presence.present) if present and place != closing]
    accounts = tuple(PartAccount(rounding) for _ in sinks)
    total = SumAccount(rounding)
    n_samples = 0

    def settle(place: int, samples: Samples) -> Values:
        values = rounding.apply(samples)
        keep(place, values)
        return values

    def keep(place: int, values: Values) -> None:
        accounts[place].add(values)
        if not accounts[place].exceeded:  # else the pass is run again, and only measures from here on
            sinks[place].write(values)

    with ThreadPoolExecutor(threads) as pool:
        if isinstance(heard, HeardMasks):
            stream = _masked(source, heard, presence, made, pool)
        else:
            stream = _resampled(source, heard, made)
        for mix, parts in stream:
            if is_cancelled():
                raise CancelledError("Cancelled; --resume takes it up where it stopped.")
            whole = rounding.apply(mix)
            values = list(pool.map(settle, made, parts))
            values.append(closing_part(whole, values))
            rest = [place for place in range(len(sinks)) if place not in made]
            silence = np.zeros_like(whole)
            list(pool.map(keep, rest, [values[-1] if place == closing else silence for place in rest]))
            total.add(mix, values)
            n_samples += mix.shape[1]
            on_seconds(n_samples / source.sample_rate)
    return Finish(accounts, total.residual_db, n_samples)


def _closing_place(presence: Presence) -> int:
    """The part that takes what the others leave: the last that plays, or the last of all in a silent song."""
    playing = [place for place, present in enumerate(presence.present) if present]
    return playing[-1] if playing else len(presence.present) - 1


def _masked(
    source: Source, heard: HeardMasks, presence: Presence, made: list[int], pool: ThreadPoolExecutor
) -> Iterator[Block]:
    """The song block by block, its parts cut out of its spectrum by their masks."""
    own = Stft(heard.bands.n_fft, heard.hop)
    stft = own.at_rate(heard.sample_rate, source.sample_rate)
    masks = MaskReader(heard.rows, presence, own, heard.sample_rate, stft, source.sample_rate)
    band = heard.bands.band_of_bins(stft.n_fft, source.sample_rate)  # (bins,)
    analysis = Analysis(stft, source.channels)
    syntheses = {place: Synthesis(stft, source.channels) for place in made}
    mix = np.zeros((source.channels, 0), np.float32)

    def parts_of(spectrum: Spectrum) -> Iterator[Block]:
        nonlocal mix
        for start in range(0, len(spectrum), FRAMES):
            frames = spectrum[start : start + FRAMES]
            shares = masks.next(len(frames))  # (frames, parts, channels, bands)

            def make(place: int, frames: Spectrum = frames, shares: Samples = shares) -> Samples:
                return syntheses[place].push(
                    frames * np.take(shares[:, place], band, axis=-1)
                )  # (frames, channels, bins)

            parts = list(pool.map(make, made))
            ready = min(mix.shape[1], parts[0].shape[1] if parts else len(frames) * stft.hop)
            yield mix[:, :ready], [part[:, :ready] for part in parts]
            mix = mix[:, ready:]

    for block in source.blocks():
        mix = np.concatenate([mix, block], axis=1)
        yield from parts_of(analysis.push(block))
    yield from parts_of(analysis.finish())


def _resampled(source: Source, heard: HeardWaveforms, made: list[int]) -> Iterator[Block]:
    """The song block by block, its parts brought from the engines' rate to the song's."""
    stream = _at_song_rate(source, heard, made)
    ready = np.zeros((len(made), source.channels, 0), np.float32)
    for block in source.blocks():
        while ready.shape[2] < block.shape[1] and (more := next(stream, None)) is not None:
            ready = np.concatenate([ready, more], axis=2)
        short = max(0, block.shape[1] - ready.shape[2])  # both lengths were rounded: the end may lack a sample or two
        ready = np.pad(ready, ((0, 0), (0, 0), (0, short)))
        yield block, list(ready[:, :, : block.shape[1]])
        ready = ready[:, :, block.shape[1] :]


def _at_song_rate(source: Source, heard: HeardWaveforms, made: list[int]) -> Iterator[Samples]:
    """Blocks ``(made parts, channels, samples)`` at the song's rate."""
    if not made:
        return
    channels = source.channels
    resampler = Resampler(heard.sample_rate, source.sample_rate, len(made) * channels)
    for samples in heard.rows.blocks():  # (samples, parts, channels)
        stacked = samples[:, made].reshape(len(samples), -1).T  # (made * channels, samples)
        yield resampler.process(np.ascontiguousarray(stacked)).reshape(len(made), channels, -1)
    last = np.zeros((len(made) * channels, 0), np.float32)
    yield resampler.process(last, last=True).reshape(len(made), channels, -1)
