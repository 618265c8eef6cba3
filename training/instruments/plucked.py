"""Plucked strings as physical models: guitars, basses, harps, clavinets, and imaginary instruments.

A string is a delay line with a low-pass filter in its loop (K. Karplus and A. Strong, 1983; D. Jaffe and J. Smith,
1983). It starts in the shape of a string plucked at one point and picked up at another.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note
from training.rendering import effects

SAMPLE_RATE_HZ = 44100


@dataclass(frozen=True)
class Plucked:
    """Parameters of the strings and of the playing technique.

    Attributes:
        damping: loss of brightness per round trip, 0 (new steel) to 0.5 (nylon, finger).
        decay_s: time in which a string at 110 Hz falls by 60 dB; higher strings decay faster.
        pick: plucking position as a fraction of the string.
        pickup: pickup position as a fraction of the string; 0 is the whole body.
        softness: spectral slope of the excitation, 0 (hard plectrum) to 2 (thumb).
        noise: level of the plectrum noise.
        muted_s: time until a hand mutes the string; 0 is no muting.
        release_s: time in which a released note stops.
        body: resonances of the body, as frequency in Hz, gain in dB and Q.
    """

    damping: float
    decay_s: float
    pick: float
    pickup: float = 0.0
    softness: float = 1.0
    noise: float = 0.05
    muted_s: float = 0.0
    release_s: float = 0.05
    body: tuple[tuple[float, float, float], ...] = ()


def acoustic_guitar(rng: np.random.Generator) -> Plucked:
    """Steel or nylon strings with a wooden body."""
    return Plucked(
        damping=float(rng.uniform(0.03, 0.4)),
        decay_s=float(rng.uniform(2, 7)),
        pick=float(rng.uniform(0.08, 0.35)),
        softness=float(rng.uniform(0.2, 1.2)),
        noise=float(rng.uniform(0.02, 0.2)),
        body=_box(rng, 105),
    )


def electric_guitar(rng: np.random.Generator, muted: bool = False) -> Plucked:
    """Steel strings over a magnetic pickup."""
    return Plucked(
        damping=float(rng.uniform(0.03, 0.25)),
        decay_s=float(rng.uniform(4, 12)),
        pick=float(rng.uniform(0.05, 0.3)),
        pickup=float(rng.uniform(0.05, 0.3)),
        softness=float(rng.uniform(0.2, 1.0)),
        noise=float(rng.uniform(0.01, 0.1)),
        muted_s=float(rng.uniform(0.06, 0.2)) if muted else 0.0,
    )


def electric_bass(rng: np.random.Generator) -> Plucked:
    """An electric bass: fingered, picked or slapped."""
    return Plucked(
        damping=float(rng.uniform(0.1, 0.5)),
        decay_s=float(rng.uniform(2, 9)),
        pick=float(rng.uniform(0.08, 0.4)),
        pickup=float(rng.uniform(0.08, 0.35)),
        softness=float(rng.uniform(0.5, 1.8)),
        noise=float(rng.uniform(0.0, 0.15)),
        muted_s=float(rng.choice((0, 0, 0, 0.2, 0.5))),
    )


def double_bass(rng: np.random.Generator) -> Plucked:
    """A double bass: thick strings plucked by finger, a large body, short notes."""
    return Plucked(
        damping=float(rng.uniform(0.35, 0.5)),
        decay_s=float(rng.uniform(1, 3)),
        pick=float(rng.uniform(0.15, 0.35)),
        softness=float(rng.uniform(1.0, 2.0)),
        noise=float(rng.uniform(0.02, 0.15)),
        body=_box(rng, 62),
    )


def harp(rng: np.random.Generator) -> Plucked:
    """A harp, zither, lute or koto."""
    return Plucked(
        damping=float(rng.uniform(0.1, 0.4)),
        decay_s=float(rng.uniform(2, 8)),
        pick=float(rng.uniform(0.1, 0.5)),
        softness=float(rng.uniform(0.4, 1.5)),
        noise=float(rng.uniform(0, 0.05)),
        release_s=float(rng.choice((0.1, 0.8))),
        body=_box(rng, 180),
    )


def clavinet(rng: np.random.Generator) -> Plucked:
    """Short strings with a pickup, struck near their end and damped by wool."""
    return Plucked(
        damping=float(rng.uniform(0.02, 0.12)),
        decay_s=float(rng.uniform(1.5, 4)),
        pick=float(rng.uniform(0.03, 0.12)),
        pickup=float(rng.uniform(0.05, 0.2)),
        softness=float(rng.uniform(0.1, 0.6)),
        noise=float(rng.uniform(0.0, 0.05)),
        release_s=0.02,
    )


def _box(rng: np.random.Generator, lowest_hz: float) -> tuple[tuple[float, float, float], ...]:
    ratios = (1.0, 2.0, 3.8, 7.0, 14.0)
    return tuple(
        (lowest_hz * ratio * float(rng.uniform(0.85, 1.2)), float(rng.uniform(-4, 8)), float(rng.uniform(1, 6)))
        for ratio in ratios
    )


def play(notes: Sequence[Note], string: Plucked, duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Plays notes, ``(2, samples)`` at 44.1 kHz, both channels identical. Each note has a new random excitation."""
    line = np.zeros(round(duration_s * SAMPLE_RATE_HZ))
    plucks: dict[tuple[int, int, int], NDArray[np.float64]] = {}
    longest = max((note.duration_s for note in notes), default=0.0) + string.release_s * 3
    for note in notes:
        key = (note.pitch, note.velocity // 20, int(rng.integers(2)))
        if key not in plucks:
            plucks[key] = _pluck(note, string, longest, rng)
        start = round(note.start_s * SAMPLE_RATE_HZ)
        count = min(
            len(line) - start, round((note.duration_s + 3 * string.release_s) * SAMPLE_RATE_HZ), len(plucks[key])
        )
        if count < 16:
            continue
        sound = plucks[key][:count].copy()
        held = round(note.duration_s * SAMPLE_RATE_HZ)
        if held < count:
            sound[held:] *= np.exp(-np.arange(count - held) / (string.release_s * SAMPLE_RATE_HZ))
            sound[-64:] *= np.linspace(1, 0, min(64, count))
        line[start : start + count] += sound * (note.velocity / 127) ** 1.3
    audio = np.stack((line, line)).astype(np.float32)
    for frequency_hz, gain_db, quality in string.body:
        audio = effects.peaking(audio, frequency_hz, gain_db, quality)
    return effects.cut(audio, 30, high=False)


def _pluck(note: Note, string: Plucked, longest_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    frequency = 440 * 2 ** ((note.pitch - 69) / 12)
    period = max(8, int(SAMPLE_RATE_HZ / frequency))  # in whole samples; fractional tuning comes at the end
    partials = np.arange(1, period // 2)
    slope = string.softness + 0.5 * (1 - note.velocity / 127)
    levels = np.sin(np.pi * partials * (string.pick + rng.normal(0, 0.01))) / partials**slope
    if string.pickup:
        levels *= np.sin(np.pi * partials * string.pickup)
    spectrum = np.zeros(period // 2 + 1, np.complex128)
    spectrum[1 : len(partials) + 1] = levels * np.exp(1j * rng.uniform(-0.6, 0.6, len(partials)))
    shape = np.fft.irfft(spectrum, period)
    shape = shape / (np.abs(shape).max() + 1e-9) + string.noise * rng.standard_normal(period)
    decay = string.decay_s * (110 / frequency) ** 0.6
    kept = 10 ** (-3 * period / SAMPLE_RATE_HZ / decay)
    trips = int(min(longest_s, decay * 1.2) * SAMPLE_RATE_HZ / period) + 1
    rounds = np.empty((trips, period))
    for trip in range(trips):
        rounds[trip] = shape
        shape = kept * ((1 - string.damping) * shape + string.damping * np.roll(shape, 1))
    sound = rounds.reshape(-1)
    speed = frequency * (period + string.damping) / SAMPLE_RATE_HZ
    positions = np.arange(int(len(sound) / speed) - 1) * speed
    sound = np.interp(positions, np.arange(len(sound)), sound)
    if string.muted_s:
        sound *= np.exp(-np.arange(len(sound)) / (string.muted_s * SAMPLE_RATE_HZ) * 2)
    return np.asarray(sound, np.float64)
