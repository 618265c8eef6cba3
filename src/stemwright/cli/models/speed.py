"""Measures the matrix product on this machine, and estimates the time of a model from it."""

from __future__ import annotations

import json
import platform
import time
from contextlib import suppress
from functools import cache

from stemwright.cache import cache_folder
from stemwright.cpu_memory_limits import cores
from stemwright.models.registry import Model

SONG_S = 180.0

EFFICIENCY = 0.6
"""Fraction of the speed of large matrix products that a network reaches on a CPU: the rest of the time goes into moving
activations. `scripts/model-costs --time` measures it."""

_MEASURING_S = 0.3
_MATRIX_SIZE = 1024


def minutes_for_a_song(model: Model) -> float | None:
    """Estimated minutes for a 3-minute song on this machine's CPU; None if the model's operations are unknown."""
    if not model.gflop_per_s:
        return None
    return SONG_S * model.gflop_per_s / (EFFICIENCY * gflop_per_s()) / 60


@cache
def gflop_per_s() -> float:
    """GFLOP/s of a float32 matrix product: the best measurement on this machine so far.

    A busy machine measures too little, so each command measures again and the cache folder keeps the maximum.
    """
    path = cache_folder() / "speed.json"
    machine = f"{platform.node()} {platform.machine()} {cores()}"
    best = _measure()
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["machine"] == machine and known["gflop_per_s"] > best:
            return float(known["gflop_per_s"])
    with suppress(OSError):  # then it is measured again next time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine, "gflop_per_s": best}), encoding="utf-8")
    return best


def _measure() -> float:
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    fastest_s, ends = float("inf"), time.perf_counter() + _MEASURING_S
    while (started := time.perf_counter()) < ends:
        matrix @ matrix
        fastest_s = min(fastest_s, time.perf_counter() - started)  # the minimum: other programs only slow it down
    return 2 * _MATRIX_SIZE**3 / fastest_s / 1e9
