"""Pitch modulation: vibrato of varying depth, and pitch bends.

In composed songs only vocals glide; keyboards and guitars keep their pitch. Without modulation the network would take
every reed, bowed or bent string of a recording for vocals.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.data.features import SAMPLE_RATE_HZ

CONTROL_SAMPLES = 256
"""Samples for which the speed is constant: 6 ms."""


@dataclass(frozen=True)
class PitchBend:
    """One bend: onset, size, glide time and hold time."""

    start_s: float
    cents: float
    glide_s: float
    hold_s: float


@dataclass(frozen=True)
class PitchModulation:
    """Pitch modulation of a stem; ``swell_hz`` is the rate at which the vibrato depth varies."""

    vibrato_cents: float
    vibrato_hz: float
    swell_hz: float
    bends: tuple[PitchBend, ...]

    @classmethod
    def draw(cls, rng: np.random.Generator, seconds: float) -> PitchModulation:
        """A random modulation for a cut of ``seconds``: vibrato, bends, or both."""
        kind = int(rng.integers(3))
        count = int(rng.integers(1, 2 + round(seconds))) if kind != 0 else 0
        bends = tuple(
            PitchBend(
                float(rng.uniform(0, seconds)),
                float(rng.choice((-1, 1)) * rng.uniform(40, 240)),
                float(np.exp(rng.uniform(np.log(0.03), np.log(0.35)))),
                float(rng.uniform(0, 0.7)),
            )
            for _ in range(count)
        )
        cents = float(np.exp(rng.uniform(np.log(8), np.log(70)))) if kind != 1 else 0.0
        return cls(cents, float(np.exp(rng.uniform(np.log(2.5), np.log(8)))), float(rng.uniform(0.15, 0.8)), bends)

    def read_positions(self, samples: int) -> Tensor:
        """The position at which each output sample is read, ``(samples,)``, from the first to the last."""
        time = np.arange(0, samples + CONTROL_SAMPLES, CONTROL_SAMPLES) / SAMPLE_RATE_HZ
        swell = 0.5 - 0.5 * np.cos(2 * np.pi * self.swell_hz * time)
        cents = self.vibrato_cents * swell * np.sin(2 * np.pi * self.vibrato_hz * time)
        for bend in self.bends:
            up = np.clip((time - bend.start_s) / bend.glide_s, 0, 1)
            down = np.clip((time - bend.start_s - bend.glide_s - bend.hold_s) / bend.glide_s, 0, 1)
            cents += bend.cents * np.sin(np.pi / 2 * (up - down)) ** 2
        read = np.concatenate([[0], np.cumsum(2 ** (cents / 1200))[:-1]]) * CONTROL_SAMPLES
        places = np.interp(np.arange(samples), time * SAMPLE_RATE_HZ, read)
        return torch.from_numpy(places * ((samples - 1) / max(1.0, places[-1])))


def modulate_pitch(audio: Tensor, modulation: PitchModulation) -> Tensor:
    """``(2, samples)`` with its pitch modulated, at the same length.

    Interpolates with the cubic of E. Catmull and R. Rom (1974), which takes a third of the time of the eight-tap
    interpolation of ``training.data.device_dataset``.
    """
    places = modulation.read_positions(audio.shape[-1]).to(audio.device)
    whole = places.floor()
    away = (places - whole).float()
    at = whole.long()
    pairs = torch.nn.functional.pad(torch.complex(audio[0], audio[1]), (1, 2))  # both channels are read at once
    before, here, there, after = (pairs[at + tap] for tap in range(4))
    cubic = (3 * (here - there) + after - before) * (away / 2)
    square = (cubic + before + 2 * there - 2.5 * here - after / 2) * away
    read = (square + (there - before) / 2) * away + here
    return torch.view_as_real(read).T.contiguous()  # (samples, 2) -> (2, samples)
