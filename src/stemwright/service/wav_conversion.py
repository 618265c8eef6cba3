"""Converts a song to WAV."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stemwright.separation.quantization import PartMeter, Quantization
    from stemwright.separation.source import FileSource


@dataclass(frozen=True)
class ConvertedWav:
    """A written WAV file, at the song's sample rate and bit depth (lossy songs: 24 bits).

    Attributes:
        gain_db: gain that keeps it below full scale; 0 except for lossy songs that exceed it.
        peak_dbfs, rms_dbfs: None for silence.
        notes: remarks on the song.
    """

    samples: int
    sample_rate: int
    channels: int
    gain_db: float
    peak_dbfs: float | None
    rms_dbfs: float | None
    notes: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.samples / self.sample_rate


def convert(song: Path, wav: Path, name: str, on_progress: Callable[[float, float | None], None]) -> ConvertedWav:
    """Writes a song as WAV, sample by sample; memory use does not grow with its length.

    Args:
        song: input file. wav: output file, overwritten if it exists.
        name: for the tags: ``song``, or the name of a stem.
        on_progress: called with seconds done and total seconds (None if unknown); may raise to stop.

    Raises:
        UnreadableInputError: the song is not audio, or is truncated.
        StorageError: the WAV cannot be written.
    """
    from stemwright.audio.formats import output_format
    from stemwright.separation.quantization import PartMeter, Quantization
    from stemwright.separation.source import FileSource

    source = FileSource(song)
    fmt = output_format("wav", bit_depth=None, bitrate_kbps=None, source=source.format)
    bits = fmt.bit_depth if fmt.bit_depth in (16, 24) else None
    quantization = Quantization(bits, limited=bits is not None)
    meter = PartMeter(quantization)
    samples = _write(source, wav, name, quantization, meter, on_progress)
    if meter.exceeded:
        # A decoded MP3 can exceed full scale: scale it instead of clipping, and report the gain.
        quantization = Quantization(bits, limited=True, gain=quantization.ceiling / meter.peak)
        meter = PartMeter(quantization)
        samples = _write(source, wav, name, quantization, meter, on_progress)
    return ConvertedWav(
        samples=samples,
        sample_rate=source.sample_rate,
        channels=source.channels,
        gain_db=20 * math.log10(quantization.gain),
        peak_dbfs=meter.peak_db,
        rms_dbfs=meter.level_db,
        notes=source.notes,
    )


def _write(
    source: FileSource,
    wav: Path,
    name: str,
    quantization: Quantization,
    meter: PartMeter,
    on_progress: Callable[[float, float | None], None],
) -> int:
    import numpy as np

    from stemwright.audio.encode import Encoder
    from stemwright.audio.formats import output_format

    wav.unlink(missing_ok=True)
    fmt = output_format("wav", bit_depth=None, bitrate_kbps=None, source=source.format)
    lowest, highest = -quantization.full_scale, quantization.full_scale - 1
    samples = 0
    with Encoder(wav, fmt, sample_rate=source.sample_rate, channels=source.channels, tags=source.tags(name)) as encoder:
        for block in source.blocks():
            values = quantization.apply(block)
            meter.add(values)
            encoder.write(np.clip(values, lowest, highest).astype(values.dtype) if quantization.limited else values)
            samples += block.shape[1]
            on_progress(samples / source.sample_rate, source.expected_s)
    return samples
