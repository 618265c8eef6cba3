"""Percussion as sums of decaying modes: mallet instruments, drums, bells, blocks and jingles.

Mode ratios of bars, membranes and bells are from N. Fletcher and T. Rossing, The Physics of Musical Instruments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note

SAMPLE_RATE_HZ = 44100


@dataclass(frozen=True)
class Body:
    """A struck body.

    Attributes:
        ratios: frequencies of the modes relative to the lowest.
        decay_s: time constant of the lowest mode; for the others it is divided by their ratio to the power of ``loss``.
        loss: see ``decay_s``.
        brightness: exponent by which the level falls with the number of a mode.
        knock: level of the stick noise.
        bend: initial rise of the pitch (membranes), as a fraction.
    """

    ratios: tuple[float, ...]
    decay_s: float
    loss: float = 1.0
    brightness: float = 1.0
    knock: float = 0.1
    bend: float = 0.0


_MEMBRANE = (1, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501)
_BAR = (1, 2.756, 5.404, 8.933)
_MALLETS = (
    Body((1, 3.93, 9.2), 0.25, 1.2, 1.2, 0.15),  # marimba
    Body((1, 3.0, 6.1, 10.2), 0.12, 1.0, 0.7, 0.3),  # xylophone
    Body((1, 4.0, 10.3), 1.5, 1.3, 1.4, 0.05),  # vibraphone
    Body(_BAR, 1.2, 1.0, 0.8, 0.1),  # glockenspiel
    Body((1, 5.8, 11.2), 0.5, 1.5, 1.5, 0.1),  # kalimba
    Body((1, 2.0, 3.0, 4.1, 5.2), 0.5, 0.8, 0.9, 0.05),  # steel pan
    Body((0.5, 1, 1.19, 1.5, 2, 2.74, 3.76), 2.5, 1.0, 0.6, 0.05),  # bell
)
_HANDS: dict[str, tuple[Body, float]] = {
    # Body and frequency in Hz.
    "skin": (Body(_MEMBRANE, 0.12, 0.8, 1.0, 0.25, 0.06), 200.0),
    "low skin": (Body(_MEMBRANE, 0.3, 0.8, 1.4, 0.15, 0.1), 90.0),
    "wood": (Body((1, 2.57, 4.9), 0.03, 0.6, 0.8, 0.3), 1100.0),
    "cowbell": (Body((1, 1.48, 2.6, 3.9), 0.15, 0.4, 0.6, 0.1), 560.0),
    "agogo": (Body((1, 1.9, 2.8, 4.1), 0.25, 0.5, 0.7, 0.1), 900.0),
    "triangle": (Body((1, 1.47, 2.09, 2.56, 3.3, 4.1, 5.0), 0.9, 0.3, 0.2, 0.05), 2400.0),
}
_KEYS = {
    **dict.fromkeys((60, 61, 62, 63, 65), "skin"),
    **dict.fromkeys((64, 66, 86, 87), "low skin"),
    **dict.fromkeys((75, 76, 77), "wood"),
    **dict.fromkeys((67, 68), "agogo"),
    **dict.fromkeys((54, 69), "jingle"),
    **dict.fromkeys((70, 82), "shake"),
    **dict.fromkeys((73, 74), "scrape"),
    **dict.fromkeys((80, 81), "triangle"),
    56: "cowbell",
}


def mallets(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Plays notes on a random mallet instrument; ``(2, samples)`` at 44.1 kHz, both channels identical."""
    body = _vary(_MALLETS[rng.integers(len(_MALLETS))], rng)
    strokes = {note.pitch: _strike(body, 440 * 2 ** ((note.pitch - 69) / 12), rng) for note in notes}
    return _place([(note, strokes[note.pitch], 0.0) for note in notes], duration_s)


def timpani(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Plays timpani, whose modes are nearly harmonic; ``(2, samples)``."""
    body = _vary(Body((1, 1.5, 1.99, 2.44, 2.89), 0.7, 0.6, 0.7, 0.15, 0.02), rng)
    strokes = {note.pitch: _strike(body, 440 * 2 ** ((note.pitch - 69) / 12), rng) for note in notes}
    return _place([(note, strokes[note.pitch], 0.0) for note in notes], duration_s)


def hand_percussion(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Plays hand percussion on General MIDI keys; ``(2, samples)``."""
    players: dict[int, tuple[list[NDArray[np.float64]], float, float]] = {}
    tuning = float(rng.uniform(0.75, 1.4))
    struck = []
    for note in notes:
        if note.pitch not in players:
            kind = _KEYS.get(note.pitch, "shake")
            higher = 1.3 if note.pitch % 2 else 1.0
            players[note.pitch] = (
                [_hand(kind, tuning * higher, rng) for _ in range(3)],
                float(rng.uniform(-0.7, 0.7)),
                float(rng.uniform(0.5, 1)),
            )
        strokes, position, _ = players[note.pitch]
        struck.append((note, strokes[rng.integers(3)], position))
    return _place(struck, duration_s)


def _vary(body: Body, rng: np.random.Generator) -> Body:
    ratios = tuple(ratio * float(rng.normal(1, 0.01)) if index else ratio for index, ratio in enumerate(body.ratios))
    return Body(
        ratios,
        body.decay_s * float(np.exp(rng.normal(0, 0.35))),
        body.loss,
        body.brightness * float(rng.uniform(0.6, 1.5)),
        body.knock * float(rng.uniform(0.3, 2)),
        body.bend * float(rng.uniform(0.3, 2)),
    )


def _strike(body: Body, frequency_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    time = np.arange(int(min(4.0, body.decay_s * 6) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    glide = time + body.bend * 0.03 * (1 - np.exp(-time / 0.03))
    sound = np.zeros_like(time)
    for number, ratio in enumerate(body.ratios, 1):
        if frequency_hz * ratio > 18000:
            continue
        level = float(rng.uniform(0.6, 1.2)) / number**body.brightness
        sound += (
            level
            * np.sin(2 * np.pi * frequency_hz * ratio * glide)
            * np.exp(-time / (body.decay_s / max(1.0, ratio) ** body.loss))
        )
    knock = min(len(time), int(0.012 * SAMPLE_RATE_HZ))
    sound[:knock] += body.knock * rng.standard_normal(knock) * np.exp(-np.arange(knock) / (0.002 * SAMPLE_RATE_HZ))
    return np.asarray(sound / (np.abs(sound).max() + 1e-9), np.float64)


def _hand(kind: str, tuning: float, rng: np.random.Generator) -> NDArray[np.float64]:
    if kind in _HANDS:
        body, frequency_hz = _HANDS[kind]
        return _strike(_vary(body, rng), frequency_hz * tuning, rng)
    length = float(rng.uniform(0.06, 0.14)) if kind == "shake" else float(rng.uniform(0.12, 0.3))
    time = np.arange(int(length * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    if kind == "scrape":
        ridges = 0.5 + 0.5 * np.sign(np.sin(2 * np.pi * float(rng.uniform(60, 110)) * time))
        envelope = ridges * np.sin(np.pi * time / length)
    elif kind == "jingle":
        envelope = np.exp(-time / (length / 4)) * (1 + 0.5 * np.sin(2 * np.pi * 35 * time))
    else:
        envelope = np.sin(np.pi * time / length) ** 2
    sound = np.zeros_like(time)
    for _ in range(14):  # jingles, beads, guiro teeth: many high modes excited by noise
        centre = float(rng.uniform(3000, 12000)) * min(1.2, tuning)
        sound += np.sin(2 * np.pi * centre * time + np.cumsum(rng.standard_normal(len(time))) * 0.35)
    sound = (sound / 5 + rng.standard_normal(len(time)) * 0.4) * envelope
    return np.asarray(sound / (np.abs(sound).max() + 1e-9), np.float64)


def _place(struck: Sequence[tuple[Note, NDArray[np.float64], float]], duration_s: float) -> NDArray[np.float32]:
    audio = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    for note, stroke, position in struck:
        start = round(note.start_s * SAMPLE_RATE_HZ)
        count = min(len(stroke), audio.shape[1] - start)
        if count > 0:
            angle = (position + 1) * np.pi / 4
            gains = np.array(((np.cos(angle),), (np.sin(angle),))) * np.sqrt(2) * (note.velocity / 127) ** 1.5
            audio[:, start : start + count] += (stroke[:count] * gains).astype(np.float32)
    return audio
