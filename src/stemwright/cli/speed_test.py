"""Measures how fast a plan of the network in the wheel runs on this machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stemwright.separation.options import Device

TEST_MUSIC_S = 20.0
"""Seconds of music that are separated: two full chunks of the network in the wheel."""

RATE_HZ = 44_100


def measured_time_ratio(plan: str, device: Device, threads: int | None) -> float:
    """Seconds of work for a second of song: times ``stemwright separate --stems twelve`` on 20 s of synthetic music, from
    disk to disk.

    Raises:
        ModelUnavailableError: the plan or the device is not available.
        StorageError: the folder for temporary files cannot be written.
    """
    import tempfile

    import soundfile

    from stemwright.separation.options import Options
    from stemwright.separation.separator import Separator

    separator = Separator(plan, device=device, threads=threads)
    with tempfile.TemporaryDirectory(prefix="stemwright-doctor-") as folder:
        song = Path(folder) / "song.wav"
        soundfile.write(song, _test_music(TEST_MUSIC_S).T, RATE_HZ, "PCM_16")
        started = time.monotonic()
        separator.separate_file(song, Options(stems="twelve", out=Path(folder) / "stems"))
        elapsed_s = time.monotonic() - started
    return elapsed_s / TEST_MUSIC_S


def _test_music(length_s: float) -> NDArray[np.float32]:
    """Chords, a bass, a beat and a lead with vibrato, ``(2, samples)``: every stage of the separation has work to do."""
    import numpy as np

    rng = np.random.default_rng(0)
    t = np.arange(int(length_s * RATE_HZ)) / RATE_HZ
    beat = t % 0.5
    noise = rng.standard_normal(t.size)
    roots_hz = np.array([110.0, 146.8, 98.0, 130.8])[(t // 2.0).astype(int) % 4]
    phase = 2 * np.pi * np.cumsum(roots_hz) / RATE_HZ
    lead = np.sin(4 * phase + 3 * np.sin(2 * np.pi * 5.5 * t)) * (0.6 + 0.4 * np.sin(2 * np.pi * 0.7 * t))
    chord = sum(np.sin(ratio * phase) / (1 + index) for index, ratio in enumerate((2.0, 2.5, 3.0, 5.0)))
    drums = np.sin(2 * np.pi * 60 * beat) * np.exp(-12 * beat) + 0.3 * noise * np.exp(-40 * ((t + 0.25) % 0.5))
    bass = np.sign(np.sin(phase)) * np.exp(-2 * beat)
    left = 0.20 * lead + 0.12 * chord + 0.3 * drums + 0.10 * bass
    right = 0.20 * lead + 0.08 * np.roll(chord, 441) + 0.3 * drums + 0.10 * bass
    return np.stack([left, right]).astype(np.float32)
