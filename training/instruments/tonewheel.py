"""Tonewheel organs of setBfree (Debian's ``setbfree`` and ``faketime``), with drawbars and a rotating loudspeaker.

The organs of General MIDI fonts have one fixed registration each, with the rotation of the loudspeaker in the loop.
This model has 91 tonewheels, drawbars, key clicks, percussion, a scanner vibrato, a valve stage and two horns. It is
skipped if the packages are not installed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from training.compose.note import Note
from training.instruments import lv2

BUNDLE = Path("/usr/lib/lv2/b_synth")
REGISTRATIONS = tuple(number for number in range(100) if number != 21)
"""Factory programmes: drawbar settings of known players and pieces, many with percussion or vibrato. Number 21 is
silent."""

LOWEST, HIGHEST = 36, 96
_ROTATION, _DRIVE, _SWELL = 1, 65, 11
_SLOW, _STILL, _FAST = 0, 64, 127


def installed() -> bool:
    """Whether the organ and the stopped clock that it needs are installed."""
    return BUNDLE.is_dir() and bool(lv2.stopped_clock())


def play(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Plays notes on one registration, with occasional speed changes of the loudspeaker; ``(2, samples)`` at 44.1 kHz.

    Raises:
        RuntimeError: the plug-in failed.
    """
    organ = lv2.Instrument(str(BUNDLE / "b_synth.so"), str(BUNDLE / "b_synth.ttl"), {}, is_timed=True)
    return lv2.play(organ, _events(notes, duration_s, rng), duration_s)


def _events(notes: Sequence[Note], duration_s: float, rng: np.random.Generator) -> list[lv2.Event]:
    events: list[lv2.Event] = [
        (0.0, (0xC0, int(rng.choice(REGISTRATIONS)), 0)),
        (0.0, (0xB0, _DRIVE, 127 if rng.random() < 0.4 else 0)),
        (0.0, (0xB0, _SWELL, int(rng.integers(70, 127)))),
    ]
    speed, at_s = int(rng.choice((_SLOW, _STILL, _FAST), p=(0.5, 0.1, 0.4))), 0.0
    while at_s < duration_s:
        events.append((at_s, (0xB0, _ROTATION, speed)))
        speed, at_s = (_FAST if speed == _SLOW else _SLOW), at_s + float(rng.uniform(4, 20))
    return events + lv2.keys([replace(note, pitch=note.pitch_within(LOWEST, HIGHEST)) for note in notes])
