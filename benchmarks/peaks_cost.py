"""What the peaks of twelve stems add to a separation, by processor time, which other programs do not change."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from stemwright.audio.peaks import PeaksWriter
from stemwright.library import separate

BLOCK = 1 << 16
FULL_SCALE = 32_768.0


def peaks_share(song: Path) -> float:
    """Processor time of the peaks of a song and its stems, over that of its separation into twelve FLAC files."""
    with tempfile.TemporaryDirectory() as folder:
        begun = time.process_time()
        result = separate(song, stems="twelve", plan="fast", out=folder, format="flac")
        separation_s = time.process_time() - begun
        peaks_s = sum(_peaks_s(path, Path(folder) / "peaks") for path in [song, *(stem.path for stem in result.stems)])
    return peaks_s / separation_s


def _peaks_s(sound: Path, out: Path) -> float:
    """Processor time of the peaks alone: the separation has the samples at hand."""
    used = 0.0
    with soundfile.SoundFile(sound) as file:
        begun = time.process_time()
        writer = PeaksWriter(out, sample_rate=file.samplerate, full_scale=FULL_SCALE)
        used += time.process_time() - begun
        for block in file.blocks(BLOCK, dtype="int16", always_2d=True):
            samples = np.ascontiguousarray(block.T)  # (channels, samples), as the separation has them
            begun = time.process_time()
            writer.write(samples)
            used += time.process_time() - begun
        begun = time.process_time()
        writer.close()
        used += time.process_time() - begun
    return used
