"""Microphones of a drum kit: overheads and room besides the close microphones, bleed, and bus compression."""

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from training.rendering import effects
from training.rendering.effects import Audio

SAMPLE_RATE_HZ = 44100


def record(kit: Audio, rng: np.random.Generator) -> Audio:
    """Renders a dry kit ``(2, samples)`` as in a studio, on a stage or in a rehearsal room.

    One kit in four stays dry, like a drum machine.
    """
    if float(np.abs(kit).max()) < 1e-6 or rng.random() < 0.25:
        return kit
    recorded = kit * np.float32(rng.choice((1.0, 1.0, 0.5, 0.15)))  # 0.15: almost no close microphones, as in jazz
    recorded = recorded + np.float32(rng.uniform(0.1, 0.8)) * _overheads(kit, rng)
    recorded = recorded + np.float32(rng.uniform(0.05, 0.7)) * _room(kit, rng)
    if rng.random() < 0.5:
        recorded = recorded + np.float32(10 ** (rng.uniform(-34, -20) / 20)) * _wires(kit, rng)
    if rng.random() < 0.6:
        recorded = effects.compress(
            recorded,
            float(rng.uniform(1.5, 6)),
            float(rng.uniform(-24, -8)),
            float(rng.uniform(3, 30)),
            float(rng.uniform(60, 250)),
        )
    return recorded


def _overheads(kit: Audio, rng: np.random.Generator) -> Audio:
    """Two overheads: delayed against the close microphones, with less low end, left and right slightly different."""
    thin = effects.cut(kit, float(rng.uniform(60, 400)), high=False, order=1)
    late = [int(rng.uniform(1.5, 5) * SAMPLE_RATE_HZ / 1000) for _ in range(2)]
    return np.stack([np.pad(side, (shift, 0))[: thin.shape[1]] for side, shift in zip(thin, late, strict=True)]).astype(
        np.float32
    )


def _room(kit: Audio, rng: np.random.Generator) -> Audio:
    """Room microphones: reflections only, often heavily compressed."""
    back = effects.reverb(
        kit, rng, 1.0, float(rng.uniform(0.15, 1.1)), float(rng.uniform(1500, 8000)), float(rng.uniform(3, 25))
    )
    room = back - kit
    return effects.compress(room, 10, -30, 2, 120) if rng.random() < 0.4 else room


def _wires(kit: Audio, rng: np.random.Generator) -> Audio:
    """Snare wires that resonate with the other drums."""
    struck = np.abs(effects.cut(kit, 400, high=True)).max(axis=0)
    pole = float(np.exp(-1 / (rng.uniform(0.03, 0.12) * SAMPLE_RATE_HZ)))
    envelope = lfilter([1 - pole], [1, -pole], struck)
    band = butter(2, (1200, float(rng.uniform(5000, 9000))), "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
    buzz = sosfilt(band, rng.standard_normal(kit.shape[1])) * envelope
    level = float(np.abs(kit).max()) / (float(np.abs(buzz).max()) + 1e-9)
    return np.asarray(np.stack((buzz, buzz)) * level, np.float32)
