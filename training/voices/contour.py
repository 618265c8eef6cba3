"""Pitch contour of a sung phrase: notes, glides, overshoot, vibrato and drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from training.compose.note import Note

FRAME_S = 0.005


@dataclass(frozen=True)
class SingingStyle:
    """Pitch and timing habits of a singer. Vibrato depth is in cents, from the centre to the peak.

    `tuning_cents` is the standard error of the tuning of notes, `late_s` the delay of phrase onsets.
    """

    glide_s: float = 0.07
    overshoot_cents: float = 20.0
    scoop_cents: float = 120.0
    scoop_chance: float = 0.3
    fall_chance: float = 0.1
    vibrato_hz: float = 5.5
    vibrato_cents: float = 45.0
    vibrato_onset_s: float = 0.3
    drift_cents: float = 8.0
    flutter_cents: float = 3.0
    tuning_cents: float = 0.0
    late_s: float = 0.0


def draw_style(rng: np.random.Generator) -> SingingStyle:
    """Draws a style, from a straight pop tone to a trained, wide vibrato; two in five are untrained singers."""
    if rng.random() < 0.4:
        return SingingStyle(
            glide_s=float(rng.uniform(0.05, 0.2)),
            overshoot_cents=float(rng.uniform(0, 30)),
            scoop_cents=float(rng.uniform(80, 320)),
            scoop_chance=float(rng.uniform(0.2, 0.7)),
            fall_chance=float(rng.uniform(0.1, 0.5)),
            vibrato_hz=float(rng.uniform(4.2, 6.8)),
            vibrato_cents=float(rng.uniform(0, 25)),
            vibrato_onset_s=float(rng.uniform(0.2, 0.7)),
            drift_cents=float(rng.uniform(8, 35)),
            flutter_cents=float(rng.uniform(2, 7)),
            tuning_cents=float(rng.uniform(5, 40)),
            late_s=float(rng.uniform(0.0, 0.08)),
        )
    trained = rng.beta(1.5, 2.0)
    return SingingStyle(
        glide_s=float(rng.uniform(0.03, 0.13)),
        overshoot_cents=float(rng.uniform(0, 35)),
        scoop_cents=float(rng.uniform(50, 220)),
        scoop_chance=float(rng.uniform(0.05, 0.5)),
        fall_chance=float(rng.uniform(0, 0.25)),
        vibrato_hz=float(rng.uniform(4.6, 6.6)),
        vibrato_cents=float(8 + 75 * trained),
        vibrato_onset_s=float(rng.uniform(0.15, 0.55)),
        drift_cents=float(rng.uniform(3, 13)),
        flutter_cents=float(rng.uniform(1, 4)),
    )


def pitch_contour(
    notes: Sequence[Note], start_s: float, frames: int, style: SingingStyle, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Pitch in hertz of every 5 ms frame from `start_s`, `(frames,)`; it is positive in unvoiced frames too.

    `notes` are in order and do not overlap. The pitch moves between notes in raised-cosine glides that end in a damped
    overshoot. Long notes get a vibrato of varying rate and depth (after Prame, "Vibrato extent and intonation in
    professional Western lyric singing", 1997). Drift and flutter are first-order noise.
    """
    if not notes:
        raise ValueError("a pitch contour needs at least one note")
    time_s = np.asarray(start_s + FRAME_S * np.arange(frames), dtype=np.float64)
    aims = [100.0 * note.pitch + rng.normal(0, style.tuning_cents) for note in notes]
    cents = np.full(frames, aims[0])
    for (before, from_cents), (note, to_cents) in pairwise(zip(notes, aims, strict=True)):
        _step(
            cents,
            time_s,
            from_cents,
            to_cents,
            note.start_s,
            min(style.glide_s, 0.4 * note.duration_s, 0.4 * before.duration_s),
        )
        after = time_s - note.start_s
        interval = min(abs(note.pitch - before.pitch), 4) / 4 * np.sign(note.pitch - before.pitch)
        ring = np.where(after > 0, np.sin(2 * np.pi * 7.0 * after) * np.exp(-np.maximum(after, 0) / 0.06), 0.0)
        cents += style.overshoot_cents * interval * ring
    end_s = [note.start_s for note in notes[1:]] + [max(notes[-1].start_s + notes[-1].duration_s, time_s[-1])]
    for index, (note, until_s) in enumerate(zip(notes, end_s, strict=True)):
        after = time_s - note.start_s
        rested = index == 0 or note.start_s - notes[index - 1].start_s - notes[index - 1].duration_s > 0.05
        if note.duration_s > 0.15 and rng.random() < style.scoop_chance * (1.0 if rested else 0.4):
            depth = style.scoop_cents * rng.uniform(0.4, 1.0)
            length_s = min(rng.uniform(0.06, 0.16), 0.4 * note.duration_s)
            # Starts at the end of the glide, so that the contour is continuous.
            cents -= depth * np.where(after > 0, _bump(after / length_s), 0.0)
        if note.duration_s > 0.35:
            cents += _vibrato(time_s, note, until_s, style, rng)
        if note.duration_s > 0.3 and index == len(notes) - 1 and rng.random() < style.fall_chance:
            tail = np.clip((after - note.duration_s + 0.12) / 0.12, 0, 1)
            cents -= rng.uniform(100, 400) * tail**2
    cents += wander(frames, 0.6, style.drift_cents, rng) + wander(frames, 0.02, style.flutter_cents, rng)
    return np.asarray(440.0 * 2 ** ((cents - 6900) / 1200), dtype=np.float64)


def _step(
    cents: NDArray[np.float64],
    time_s: NDArray[np.float64],
    from_cents: float,
    to_cents: float,
    start_s: float,
    glide_s: float,
) -> None:
    """Moves the contour to a note from its onset; most of the glide is before the beat, as in real singing."""
    progress = np.clip((time_s - start_s + 0.7 * glide_s) / max(glide_s, FRAME_S), 0, 1)
    cents += (to_cents - from_cents) * 0.5 * (1 - np.cos(np.pi * progress))


def _bump(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """A bump: 0 at 0, 1 at about 0.25, 0 from 1 on."""
    inside = np.clip(x, 0, 1)
    return np.asarray(np.minimum(inside / 0.25, 1) * 0.5 * (1 + np.cos(np.pi * np.clip((inside - 0.25) / 0.75, 0, 1))))


def _vibrato(
    time_s: NDArray[np.float64], note: Note, until_s: float, style: SingingStyle, rng: np.random.Generator
) -> NDArray[np.float64]:
    onset_s = min(style.vibrato_onset_s * rng.uniform(0.7, 1.3), 0.5 * note.duration_s)
    depth = style.vibrato_cents * rng.uniform(0.5, 1.1) * min(1.0, note.duration_s / 0.8)
    grown = np.clip((time_s - note.start_s - onset_s) / 0.35, 0, 1)
    leaving = np.clip((until_s - time_s) / 0.08, 0, 1)
    rate = style.vibrato_hz * (1 + 0.01 * wander(len(time_s), 0.3, 6.0, rng))
    phase = 2 * np.pi * np.cumsum(rate) * FRAME_S + rng.uniform(0, 2 * np.pi)
    return np.asarray(depth * grown * leaving * np.sin(phase))


def wander(frames: int, correlation_s: float, deviation: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """First-order low-passed noise of standard deviation `deviation`, clipped at three of them, `(frames,)`."""
    pole = float(np.exp(-FRAME_S / correlation_s))
    noise = rng.standard_normal(frames) * np.sqrt(1 - pole**2)
    start = [pole * rng.standard_normal()]
    walk, _ = lfilter([1.0], [1.0, -pole], noise, zi=start)
    return np.asarray(deviation * np.clip(walk, -3, 3))
