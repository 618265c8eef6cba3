"""How fast this machine multiplies, and so how long a model will about take on it."""

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
"""Share of the speed of large matrix products that a network reaches on a processor: the rest goes into moving its
activations. `scripts/model-costs --time` measures it."""

_MEASURED_S = 0.3
_SIZE = 1024


def minutes_for_a_song(model: Model) -> float | None:
    """About how long the model takes for a 3-minute song on this machine's processor; None where its work is unknown."""
    if not model.gflop_per_s:
        return None
    return SONG_S * model.gflop_per_s / (EFFICIENCY * gflop_per_s()) / 60


@cache
def gflop_per_s() -> float:
    """Billions of operations a second in a product of float32 matrices: the best that was measured on this machine.

    A busy machine measures too little, so each command measures again, and what is best is kept in the cache folder.
    """
    path = cache_folder() / "speed.json"
    machine = f"{platform.node()} {platform.machine()} {cores()}"
    best = _measure()
    with suppress(OSError, ValueError, TypeError, KeyError):
        known = json.loads(path.read_text(encoding="utf-8"))
        if known["machine"] == machine and known["gflop_per_s"] > best:
            return float(known["gflop_per_s"])
    with suppress(OSError):  # it is measured again the next time
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine, "gflop_per_s": best}), encoding="utf-8")
    return best


def _measure() -> float:
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((_SIZE, _SIZE), dtype=np.float32)
    fastest_s, ends = float("inf"), time.perf_counter() + _MEASURED_S
    while (started := time.perf_counter()) < ends:
        matrix @ matrix
        fastest_s = min(fastest_s, time.perf_counter() - started)  # whatever else runs now will be over some day
    return 2 * _SIZE**3 / fastest_s / 1e9
