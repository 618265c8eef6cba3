"""Small songs on disk to evaluate."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE_HZ = 8000
SECONDS = 2


def noise(seed: int, level: float = 0.1, samples: int = RATE_HZ * SECONDS) -> NDArray[np.float32]:
    """``(2, samples)``; different seeds are as good as orthogonal."""
    return (level * np.random.default_rng(seed).standard_normal((2, samples))).astype(np.float32)


def write(folder: Path, signals: Mapping[str, NDArray[np.float32]], rate_hz: int = RATE_HZ) -> Path:
    """One 32-bit float file a signal ``(channels, samples)``, by name."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, signal in signals.items():
        soundfile.write(folder / f"{name}.wav", signal.T, rate_hz, "FLOAT")
    return folder
