"""How fast this machine runs a model: as it was measured, or estimated from the model's number of operations.

The file ``speed.json`` of the cache folder keeps two kinds of measurements: the speed of a matrix product, which
``stemwright setup``, ``models`` and ``doctor`` measure, and the time of each model, which every long enough separation
measures. Estimates only read that file, so a separation does not wait for a measurement.
"""

from __future__ import annotations

import json
import math
import platform
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

from stemwright.cache import cache_folder
from stemwright.cpu_memory_limits import cores
from stemwright.models import devices
from stemwright.models.registry import Model

SONG_S = 180.0

EFFICIENCY = 0.6
"""Fraction of the speed of large matrix products that a network reaches on a CPU: the rest of the time goes into moving
activations. `scripts/model-costs --time` measures it."""

LEAST_CORE_GFLOP_PER_S = 20.0
"""Assumed for each core until the speed is measured: slower than the processors of the last ten years with AVX2 or NEON."""

LEAST_GPU_GFLOP_PER_S = 2000.0
"""Assumed for a network on a GPU until one was timed there: less than a tenth of the peak of the slowest common ones."""

LEAST_MEASURED_SONG_S = 30.0
"""Shorter songs are not timed: the padding of their only chunks would count."""

_MEASURING_S = 0.3
_MATRIX_SIZE = 1024


def minutes_for_a_song(model: Model) -> float | None:
    """Estimated minutes for a 3-minute song on this machine's CPU; None if the model's operations are unknown.

    Measures the speed of a matrix product first.
    """
    if not model.gflop_per_s:
        return None
    return SONG_S * model.gflop_per_s / (EFFICIENCY * gflop_per_s()) / 60


@dataclass(frozen=True)
class MachineSpeed:
    """What is known of the speed of this machine.

    Attributes:
        n_cores: processors that this process may use.
        gflop_per_s: GFLOP/s of a float32 matrix product, at least the lower bound.
        time_ratios: measured seconds of work for a second of song, by model, device and threads.
    """

    n_cores: int
    gflop_per_s: float
    time_ratios: Mapping[str, Any]

    def time_ratio(self, model: Model, device: str, threads: int) -> float:
        """Seconds of work for a second of song; infinite if nothing is known about the model.

        Args:
            model: the model.
            device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
            threads: CPU threads.
        """
        if model.in_wheel:
            return 0.0  # beside any published network
        place = devices.likely_device(model, device)
        measured = _number(self.time_ratios, _key(model, place, threads, devices.runtime_of(model, device)))
        if measured is not None:
            return measured
        if not model.gflop_per_s:
            return math.inf
        if place != "cpu":
            return model.gflop_per_s / LEAST_GPU_GFLOP_PER_S
        return model.gflop_per_s / (EFFICIENCY * self.gflop_per_s * min(1.0, threads / self.n_cores))


def known_speed() -> MachineSpeed:
    """What was measured before, or a lower bound; measures nothing.

    What was measured on a busy machine may be below the bound: then the bound counts.
    """
    known, n_cores = _read(), cores()
    measured = _number(known, "gflop_per_s") or 0.0
    time_ratios = known.get("models")
    return MachineSpeed(
        n_cores,
        max(measured, LEAST_CORE_GFLOP_PER_S * n_cores),
        time_ratios if isinstance(time_ratios, dict) else {},
    )


def record_time_ratio(model: Model, device: str, threads: int, ratio: float) -> None:
    """Keeps the time of a separation: seconds of work for a second of song. The least one counts, since a busy machine
    is slower."""
    if not 0 < ratio < math.inf:
        return
    key = _key(model, devices.likely_device(model, device), threads, devices.runtime_of(model, device))
    known = _number(known_speed().time_ratios, key)
    if known is None or ratio < known:
        _update("models", {key: round(ratio, 4)})


@cache
def gflop_per_s() -> float:
    """GFLOP/s of a float32 matrix product: the best measurement on this machine so far.

    A busy machine measures too little, so each command measures again and the cache folder keeps the maximum.
    """
    best = _measure()
    known = _number(_read(), "gflop_per_s")
    if known is not None and known > best:
        return known
    _update("gflop_per_s", best)
    return best


def is_measured() -> bool:
    """Whether the speed of a matrix product was measured on this machine before."""
    return _number(_read(), "gflop_per_s") is not None


def _key(model: Model, device: str, threads: int, runtime: str = "") -> str:
    key = f"{model.identity} {device} {threads}" if device == "cpu" else f"{model.identity} {device}"
    return key if runtime in ("", model.runtime) else f"{key} {runtime}"


def _machine() -> str:
    return f"{platform.node()} {platform.machine()} {cores()}"


def _read() -> dict[str, Any]:
    """What is known of this machine; empty if that is nothing."""
    with suppress(OSError, ValueError):
        known = json.loads((cache_folder() / "speed.json").read_text(encoding="utf-8"))
        if isinstance(known, dict) and known.get("machine") == _machine():
            return known
    return {}


def _update(name: str, value: float | dict[str, float]) -> None:
    """Adds a measurement to the file. If it cannot be written, it is measured again next time."""
    known = {**_read(), "machine": _machine()}
    older = known.get(name)
    known[name] = {**older, **value} if isinstance(older, dict) and isinstance(value, dict) else value
    path = cache_folder() / "speed.json"
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{platform.node()}.{time.time_ns():x}.new")
        temporary.write_text(json.dumps(known), encoding="utf-8")
        temporary.replace(path)


def _number(facts: object, name: str) -> float | None:
    """A positive number of a file that anybody may have changed."""
    value = facts.get(name) if isinstance(facts, dict) else None
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _measure() -> float:
    import numpy as np

    matrix = np.random.default_rng(0).standard_normal((_MATRIX_SIZE, _MATRIX_SIZE), dtype=np.float32)
    fastest_s, ends = float("inf"), time.perf_counter() + _MEASURING_S
    while (started := time.perf_counter()) < ends:
        matrix @ matrix
        fastest_s = min(fastest_s, time.perf_counter() - started)  # the minimum: other programs only slow it down
    return 2 * _MATRIX_SIZE**3 / fastest_s / 1e9
