"""Synthesis from frames: formant shift, timbre, breath, and WORLD's vocoder at 44.1 kHz."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.voices.contour import FRAME_S
from training.voices.utterance import AXIS_HZ, POINTS
from training.voices.world import pyworld

SAMPLE_RATE = 44100


@dataclass(frozen=True)
class Timbre:
    """Timbre of a voice. `formant_ratio` above 1 is a shorter vocal tract; `breath` (noise in vowels), `hiss` (near
    10 kHz) and `rasp` go from 0 to 1. `air_db` is a boost above 8 kHz, `consonant_db` a gain for unvoiced frames,
    `chest_db` a gain for the fundamental.

    `ring_db` is the singer's formant near 3 kHz (Sundberg, "Articulatory interpretation of the singing formant", 1974).
    """

    formant_ratio: float = 1.0
    breath: float = 0.1
    hiss: float = 0.6
    rasp: float = 0.0
    tilt_db_per_octave: float = 0.0
    ring_db: float = 0.0
    air_db: float = 0.0
    consonant_db: float = 0.0
    chest_db: float = 0.0


@dataclass(frozen=True)
class Frames:
    """Input to the vocoder per 5 ms: log envelope and aperiodicity `(frames, POINTS)`, voicing and gain `(frames,)`."""

    log_envelope: NDArray[np.float32]
    aperiodicity: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    gain_db: NDArray[np.float64]


def render(frames: Frames, pitch_hz: NDArray[np.float64], timbre: Timbre, fft_size: int = 2048) -> NDArray[np.float64]:
    """Synthesises `frames` at `pitch_hz` `(frames,)`; gives `(samples,)` at 44.1 kHz.

    WORLD gets all frames as voiced; unvoiced frames have aperiodicity 1, which gives the same noise. Otherwise WORLD
    would glide to its default pitch of 500 Hz at the edges of words.
    """
    bins_hz = np.linspace(0, SAMPLE_RATE / 2, fft_size // 2 + 1)
    # Louder singing is brighter: 1 dB per octave for 6 dB of level.
    tilt = timbre.tilt_db_per_octave + np.clip(frames.gain_db, -12, 12)[:, None] / 6
    octaves = np.log2(np.maximum(AXIS_HZ, 100) / 500)
    ring = timbre.ring_db * np.exp(-0.5 * ((AXIS_HZ - 2950) / 500) ** 2)
    air = timbre.air_db * np.clip((AXIS_HZ - 3000) / 5000, 0, 1)
    level_db = frames.gain_db + np.where(frames.voiced, 0, timbre.consonant_db)
    colour_db = level_db[:, None] + tilt * np.clip(octaves, -2, 4) + ring + air
    sung_hz = pitch_hz / timbre.formant_ratio  # pitch on the frequency axis before the formant shift
    if timbre.chest_db:
        distance = np.log2(np.maximum(AXIS_HZ, 20) / sung_hz[:, None])  # (frames, POINTS), in octaves
        colour_db = colour_db + timbre.chest_db * np.exp(-0.5 * (distance / 0.35) ** 2)
    log_power = _open_mouth(frames.log_envelope, sung_hz) + (colour_db / 4.343).astype(np.float32)
    onto_bins = _warp(bins_hz / timbre.formant_ratio)
    power = np.exp(log_power @ onto_bins, dtype=np.float64) + 1e-16
    # Breath noise rises with frequency, and no real voice is fully periodic at 10 kHz.
    breath = timbre.breath * np.clip(AXIS_HZ / 4000, 0.1, 1.0) + timbre.hiss * np.clip((AXIS_HZ - 3000) / 7000, 0, 1.5)
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
    # Frames 80 dB below the loudest count as silence, which removes the vocoder's noise floor from rests.
    audible = (frames.gain_db > frames.gain_db.max() - 80).astype(np.float64)
    gate = np.interp(np.arange(len(sound)) / (FRAME_S * SAMPLE_RATE), np.arange(len(audible)), audible)
    if timbre.rasp:
        gate *= _growl(pitch_hz, len(sound), timbre.rasp)
    return np.asarray(sound * gate, dtype=np.float64)


def _growl(pitch_hz: NDArray[np.float64], samples: int, depth: float) -> NDArray[np.float64]:
    """Subharmonic of growl, as from the false vocal folds: amplitude `(samples,)`, every other pulse weaker."""
    at_sample = np.interp(np.arange(samples) / (FRAME_S * SAMPLE_RATE), np.arange(len(pitch_hz)), pitch_hz)
    phase = np.pi * np.cumsum(at_sample) / SAMPLE_RATE
    return np.asarray(1 - 0.25 * depth * (1 + np.sin(phase)))


def _open_mouth(log_envelope: NDArray[np.float32], pitch_hz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Raises the first formant to the pitch if the pitch is higher, as singers do by opening the mouth.

    `log_envelope` `(frames, POINTS)`; `pitch_hz` `(frames,)`, before the formant shift.
    """
    lifted = log_envelope.copy()
    first, last = np.searchsorted(AXIS_HZ, (220, 1300))
    highest = np.maximum.accumulate(log_envelope[:, first:last], axis=1)
    below = AXIS_HZ[None, first:last] < 1.15 * pitch_hz[:, None]
    lifted[:, first:last] = np.where(below, highest, log_envelope[:, first:last])
    return lifted


def _warp(wanted_hz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Linear interpolation from AXIS_HZ to `wanted_hz`, as a matrix `(POINTS, bins)`."""
    position = np.interp(wanted_hz, AXIS_HZ, np.arange(POINTS))
    low = np.minimum(position.astype(int), POINTS - 2)
    matrix = np.zeros((POINTS, len(wanted_hz)), np.float32)
    column = np.arange(len(wanted_hz))
    matrix[low, column] = 1 - (position - low)
    matrix[low + 1, column] = position - low
    return matrix
