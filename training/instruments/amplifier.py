"""A guitar amplifier: valve stages and a loudspeaker cabinet."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.rendering import effects


@dataclass(frozen=True)
class Amplifier:
    """Settings of an amplifier.

    Attributes:
        gain_db: gain above full scale before the first stage (0 is clean, 40 is metal).
        tightness_hz: high-pass cut-off before the distortion.
        presence_db: gain of the bell filter at ``presence_hz`` after the distortion.
        cabinet_hz: upper cut-off of the loudspeaker.
        scoop_db: gain of the bell filter at 500 Hz.
    """

    gain_db: float
    tightness_hz: float = 100.0
    presence_hz: float = 2600.0
    presence_db: float = 4.0
    cabinet_hz: float = 5000.0
    scoop_db: float = 0.0

    def play(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """Amplifies a guitar signal, in mono; takes and returns ``(2, samples)``."""
        mono = np.repeat(audio.mean(axis=0, keepdims=True), 2, axis=0)
        tight = effects.cut(mono, self.tightness_hz, high=False, order=1)
        first = effects.drive(tight, self.gain_db * 0.6, bias=0.15)
        second = effects.drive(effects.cut(first, 7000, high=True, order=1), self.gain_db * 0.4)
        voiced = effects.peaking(
            effects.peaking(second, self.presence_hz, self.presence_db, 0.9), 500, self.scoop_db, 0.7
        )
        speaker = effects.cut(effects.cut(voiced, self.cabinet_hz, high=True, order=4), 75, high=False)
        return effects.peaking(speaker, 120, 5, 0.8)


def choose(rng: np.random.Generator, gain_db: float) -> Amplifier:
    """A random amplifier with about the given gain."""
    return Amplifier(
        max(0.0, gain_db + float(rng.normal(0, 4))),
        float(rng.uniform(40, 130) if gain_db < 12 else rng.uniform(60, 200)),
        float(rng.uniform(1500, 3200)),
        float(rng.uniform(0, 9)),
        float(rng.uniform(3000, 5500)),
        float(rng.uniform(-8, 3)),
    )
