"""Instruments recorded note by note: each key uses the nearest recording, resampled to its pitch.

General MIDI fonts are shortened and looped to save space. These are full recordings of real players and rooms, with
the dynamics and round robins of each instrument. A line may use recordings of other keys, which shifts the formants,
so that one instrument gives many timbres.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.compose.note import Note
from training.instruments.library import SAMPLES, Instrument, Recording, recordings
from training.rendering import effects

SAMPLE_RATE_HZ = 44100
LONGEST_S = 12.0
SOFT_HZ = 1800
"""Cut-off above which soft notes are attenuated, if a key has only one recording."""

SHORT_S = 0.22
"""Notes shorter than this use staccato recordings, if there are any."""

RINGING = (
    *("electric-bass", "upright-bass", "acoustic-guitar", "electric-guitar", "plucked", "harp", "pizzicato"),
    *("piano", "electric-piano", "mallets"),
)
"""Families that decay on their own; all others are bowed or blown, and sustain for the length of a note."""


@dataclass(frozen=True)
class Take:
    """Settings of a line on a recorded instrument.

    Attributes:
        instrument: the instrument.
        detune_cents: tuning of the whole line.
        character: semitones by which the recordings used are higher than the notes; they are slowed down.
        skip_s: how much of the start of each recording is skipped, as for legato.
        release_s: release time constant (fall to 37 %).
        softness: how much duller soft notes are than loud ones, 0 to 1.
    """

    instrument: Instrument
    detune_cents: float = 0.0
    character: int = 0
    skip_s: float = 0.0
    release_s: float = 0.1
    softness: float = 0.5


def choose(instruments: Sequence[Instrument], rng: np.random.Generator) -> Take:
    """One of ``instruments``, with random settings."""
    instrument = instruments[int(rng.integers(len(instruments)))]
    ringing = instrument.family in RINGING
    return Take(
        instrument,
        detune_cents=float(rng.normal(0, 6)),
        character=int(np.clip(round(rng.normal(0, 2.5)), -6, 6)),
        skip_s=0.0 if ringing or rng.random() < 0.5 else float(rng.uniform(0.02, 0.15)),
        release_s=float(np.exp(rng.uniform(np.log(0.04), np.log(0.4)))),
        softness=float(rng.uniform(0, 1)),
    )


def play(
    notes: Sequence[Note], take: Take, duration_s: float, rng: np.random.Generator, samples: Path = SAMPLES
) -> NDArray[np.float32]:
    """Plays a line, ``(2, samples)`` at 44.1 kHz, both channels identical; notes out of range are left out.

    Raises:
        FileNotFoundError: there are no recordings of this instrument.
    """
    recorded = [recording for recording in recordings(take.instrument, samples) if recording.pitch is not None]
    if not recorded:
        raise FileNotFoundError(
            f"{samples / take.instrument.folder} holds no recordings of {take.instrument.name}. "
            f"Run: scripts/samples {samples}"
        )
    layered = len({recording.dynamic for recording in recorded}) > 1
    line = np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    for note in notes:
        recording = _nearest(recorded, note, take.character, rng)
        assert recording.pitch is not None
        semitones = note.pitch - recording.pitch + (take.detune_cents + float(rng.normal(0, 4))) / 100
        if abs(semitones) > 14:
            continue
        start = round(note.start_s * SAMPLE_RATE_HZ)
        softness = take.softness * (0.3 if layered else 1.0)
        sound = _strike(_load(recording.path), note, semitones, take, softness)[: max(0, len(line) - start)]
        line[start : start + len(sound)] += sound
    return np.stack((line, line))


def _nearest(recorded: Sequence[Recording], note: Note, character: int, rng: np.random.Generator) -> Recording:
    """The recording for a note: by length if possible, then by nearest key, then by nearest dynamic; a random one of
    those that are equal."""
    fitting = [recording for recording in recorded if recording.short == (note.duration_s < SHORT_S)] or recorded
    loudness = note.velocity / 127

    def away(recording: Recording) -> tuple[float, float]:
        return abs((recording.pitch or 0.0) - note.pitch - character), abs(recording.dynamic - loudness)

    best = min(map(away, fitting))
    equal = [recording for recording in fitting if away(recording) == best]
    return equal[int(rng.integers(len(equal)))]


def _strike(
    recording: NDArray[np.float32], note: Note, semitones: float, take: Take, softness: float
) -> NDArray[np.float32]:
    """One note, ``(samples,)``; ``recording`` is ``(2, samples)``: original and dull version."""
    ratio = 2 ** (semitones / 12)
    held = note.duration_s * SAMPLE_RATE_HZ
    first = take.skip_s * SAMPLE_RATE_HZ
    count = int(min(held + 5 * take.release_s * SAMPLE_RATE_HZ, (recording.shape[1] - 1 - first) / ratio))
    if count < 64:
        return np.zeros(0, np.float32)
    positions = first + np.arange(count) * ratio
    whole = positions.astype(np.int64)
    between = (positions - whole).astype(np.float32)
    dullness = np.float32(softness * (1 - note.velocity / 127))
    bright, dull = recording[:, whole] * (1 - between) + recording[:, whole + 1] * between
    sound = (1 - dullness) * bright + dullness * dull
    if held < count:
        tail = np.arange(count - int(held)) / (take.release_s * SAMPLE_RATE_HZ)
        sound[int(held) :] *= np.exp(-tail).astype(np.float32)
    sound[:32] *= np.linspace(0, 1, 32, dtype=np.float32)
    sound[-64:] *= np.linspace(1, 0, 64, dtype=np.float32)
    return np.asarray(sound * np.float32((note.velocity / 127) ** 1.3), np.float32)


@functools.lru_cache(maxsize=150)
def _load(path: Path) -> NDArray[np.float32]:
    """A recording in mono without leading silence, peak 1, and a low-passed copy; ``(2, samples)``."""
    audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(audio[: round(LONGEST_S * rate_hz)].mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    mono = mono / (float(np.abs(mono).max()) + 1e-9)
    begins = int(np.argmax(np.abs(mono) > 0.02))
    mono = np.asarray(mono[max(0, begins - 64) :], np.float32)
    dull = effects.cut(np.stack((mono, mono)), SOFT_HZ, high=True, order=1)[0]
    return np.stack((mono, dull))
