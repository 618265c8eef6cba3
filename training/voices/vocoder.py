"""From frames to sound: formant shift, tone colour, breath, and WORLD's synthesis at 44.1 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

from training.voices.contour import FRAME_S
from training.voices.utterance import AXIS_HZ, POINTS

SAMPLE_RATE = 44100


@dataclass(frozen=True)
class Timbre:
    """A throat: `formant_ratio` above 1 is a smaller one; `breath` is the noise in vowels, 0 to 1; tilt and ring in dB.

    `ring_db` is the singer's formant near 3 kHz (Sundberg, "Articulatory interpretation of the singing formant", 1974).
    """

    formant_ratio: float = 1.0
    breath: float = 0.1
    tilt_db_per_octave: float = 0.0
    ring_db: float = 0.0
    air_db: float = 0.0


@dataclass(frozen=True)
class Frames:
    """What to sing every 5 ms: log envelope and aperiodicity `(frames, POINTS)`, voicing and gain `(frames,)`."""

    log_envelope: NDArray[np.float32]
    aperiodicity: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    gain_db: NDArray[np.float64]


def render(frames: Frames, pitch_hz: NDArray[np.float64], timbre: Timbre, fft_size: int = 2048) -> NDArray[np.float64]:
    """Sings `frames` at `pitch_hz` `(frames,)`; gives `(samples,)` at 44.1 kHz.

    The synthesis is told that every frame is voiced, and unvoiced frames are given aperiodicity 1 instead: they are the
    same noise, but the pitch stays whole at the edges of words, where WORLD would glide to its default of 500 Hz.
    """
    bins_hz = np.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    # Louder singing is brighter: 1 dB an octave for 6 dB of level.
    tilt = timbre.tilt_db_per_octave + np.clip(frames.gain_db, -12, 12)[:, None] / 6
    octaves = np.log2(np.maximum(AXIS_HZ, 100) / 500)
    ring = timbre.ring_db * np.exp(-0.5 * ((AXIS_HZ - 2950) / 500) ** 2)
    air = timbre.air_db * np.clip((AXIS_HZ - 4000) / 6000, 0, 1)
    colour_db = frames.gain_db[:, None] + tilt * np.clip(octaves, -2, 4) + ring + air
    log_power = frames.log_envelope + (colour_db / 4.343).astype(np.float32)
    onto_bins = _warp(bins_hz / timbre.formant_ratio)
    power = np.exp(log_power @ onto_bins, dtype=np.float64) + 1e-16
    # Breath is stronger the higher the frequency: the glottis whistles above 2 kHz or so.
    breath = timbre.breath * np.clip(AXIS_HZ / 4000, 0.1, 1.0)
    ratio = np.clip(frames.aperiodicity**1.2 + breath, 0, 1).astype(np.float32)
    ratio[~frames.voiced] = 1
    aperiodicity = np.clip((ratio @ onto_bins).astype(np.float64), 0.001, 1)
    aperiodicity[~frames.voiced] = 1
    sound = pyworld.synthesize(
        np.ascontiguousarray(pitch_hz),
        np.ascontiguousarray(power),
        np.ascontiguousarray(aperiodicity),
        SAMPLE_RATE,
        1000 * FRAME_S,
    )
    return np.asarray(sound, dtype=np.float64)


def _warp(wanted_hz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear interpolation from AXIS_HZ to `wanted_hz` as a matrix `(POINTS, bins)`."""
    position = np.interp(wanted_hz, AXIS_HZ, np.arange(POINTS))
    low = np.minimum(position.astype(int), POINTS - 2)
    matrix = np.zeros((POINTS, len(wanted_hz)), np.float32)
    column = np.arange(len(wanted_hz))
    matrix[low, column] = 1 - (position - low)
    matrix[low + 1, column] = position - low
    return matrix
