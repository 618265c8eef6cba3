"""Small signals that metrics are measured on, here and by the published packages. Needs nothing but numpy."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 44_100


@dataclass(frozen=True)
class Case:
    """A true stem, its estimate, and the mix: ``(channels, samples)`` float32 each."""

    reference: NDArray[np.float32]
    estimate: NDArray[np.float32]
    mix: NDArray[np.float32]


def cases() -> dict[str, Case]:
    """Signals by name. Every one is made from scratch, so that none depends on another."""
    return {
        "noisy": _case(3.4, lambda ref, other: 0.9 * ref + 0.1 * other),
        "quiet": _case(2.5, lambda ref, other: 0.3 * ref),
        "leaking": _case(2.5, lambda ref, other: ref + other),
        "inverted": _case(2.2, lambda ref, other: -0.5 * ref + 0.05 * other),
        "filtered": _case(3.0, lambda ref, other: 0.6 * ref + 0.4 * np.roll(ref, 3, axis=-1)),
        "short": _case(0.6, lambda ref, other: 0.9 * ref + 0.1 * other),
        "mono": _case(2.1, lambda ref, other: 0.8 * ref + 0.2 * other, channels=1),
        "silent second": _silenced(_case(4.2, lambda ref, other: 0.9 * ref + 0.1 * other)),
    }


def silent_reference() -> Case:
    """A stem that does not play, and what leaked into its estimate."""
    made = _case(2.5, lambda ref, other: 0.01 * ref)
    return Case(np.zeros_like(made.reference), made.estimate, made.mix)


def _case(seconds: float, estimate, channels: int = 2) -> Case:  # type: ignore[no-untyped-def]
    reference, other = _plucks(seconds, channels), _hiss(seconds, channels)
    return Case(*(signal.astype(np.float32) for signal in (reference, estimate(reference, other), reference + other)))


def _silenced(case: Case) -> Case:
    """The reference is silent in the second second, the estimate in the third."""
    reference, estimate = case.reference.copy(), case.estimate.copy()
    reference[:, RATE_HZ : 2 * RATE_HZ] = 0
    estimate[:, 2 * RATE_HZ : 3 * RATE_HZ] = 0
    return Case(reference, estimate, case.mix)


def _plucks(seconds: float, channels: int) -> NDArray[np.float64]:
    """Decaying tones that differ between channels."""
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    since = t % 0.5
    hertz = 110.0 * 2.0 ** (np.floor(t / 0.5) * 5 / 12)
    tone = sum(np.sin(2 * np.pi * hertz * n * since) / n for n in range(1, 12)) * np.exp(-5 * since)
    return np.stack([0.3 * tone * (1.0 - 0.4 * c) for c in range(channels)])


def _hiss(seconds: float, channels: int) -> NDArray[np.float64]:
    """Noise without a random generator, whose stream a new version of numpy may change."""
    n = np.arange(round(seconds * RATE_HZ) * channels, dtype=np.float64)
    uniform = np.modf(np.abs(np.sin(n * 12.9898 + 78.233)) * 43758.5453)[0]
    return (0.2 * (uniform - 0.5)).reshape(channels, -1)
