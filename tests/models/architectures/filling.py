"""Weights from names: a peer and we fill a network alike, so that goldens need not hold weights. And how they are written.

Needs nothing but numpy, and imports nothing of ours: the golden scripts run in environments where Stemwright is absent.
"""

from __future__ import annotations

import math
import sys
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def fill(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Give the values of one parameter or buffer: normal, seeded by its key, at a scale that keeps signals alive.

    Args:
        key: The name in the state dict.
        shape: Its shape. Two dimensions and more are scaled by 0.5 / sqrt(fan-in); vectors that scale lie about 1;
            variances are positive; all else is small.
    """
    normal = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode()))).standard_normal(shape)
    if len(shape) >= 2:
        values = normal * (0.5 / math.sqrt(math.prod(shape[1:])))
    elif key.endswith("running_var"):
        values = 1 + 0.1 * np.abs(normal)
    elif key.endswith(("gamma", "weight")):
        values = 1 + 0.1 * normal
    else:
        values = 0.1 * normal
    return np.asarray(values, dtype=np.float32)


def write(golden: Path, cases: Iterable[str], answer: Callable[[str], NDArray[np.float32]]) -> None:
    """Write the answers to all cases into one file, or, where the command line has a case and a file, that one there."""
    if len(sys.argv) > 1:
        case, path = sys.argv[1:]
        np.savez(path, output=answer(case))
    else:
        outputs: dict[str, Any] = {case: answer(case) for case in cases}
        np.savez_compressed(golden, **outputs)
