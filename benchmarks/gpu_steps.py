"""One step of ``scripts/gpu-check`` in a process of its own: reads the step as JSON, prints its result as JSON.

The networks have random weights: published sizes by default, small ones for a rehearsal. Everything runs through the
engine that separations use, so that its batches, its precision and its answer to a full memory are what is checked.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.ours import random_network
from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.models.runtimes.pytorch import TorchWaveformEngine

Samples = NDArray[np.float32]

BATCHES = (1, 2, 4, 8, 16)
SMALL_CHUNK_SAMPLES = 44_100
MEMORY_BATCH = 8
"""Chunks that are given at once where memory is short."""

PEER_NETWORKS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "bs_roformer": ("bs_roformer:BSRoformer", ("linear_transformer_depth", "mlp_expansion_factor")),
    "htdemucs": ("demucs_infer.htdemucs:HTDemucs", ()),
}
"""Per architecture: the network of a peer's package, and our options that it does not have."""


@dataclass(frozen=True)
class Step:
    """What one process does.

    Attributes:
        kind: ``precision``, ``throughput``, ``memory``, ``song`` or ``peer``.
        model: name in the registry.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: ``float32``, ``bfloat16`` or ``float16``.
        small: a small network in place of the published size.
        threads: CPU threads.
        peers: folder with the peers' packages; empty for none.
    """

    kind: str
    model: str
    device: str
    precision: str
    small: bool
    threads: int
    peers: str = ""

    def to_json(self) -> str:
        """The step as JSON, for the process that runs it."""
        return json.dumps(asdict(self))


def described_model(step: Step) -> registry.Model:
    """The model of a step; small ones have the registry's labels and their own sizes."""
    model = registry.find(step.model)
    if not step.small:
        return model
    from tests.models.published import NETWORKS, options

    assert model.architecture in NETWORKS
    published = model.options.get("num_stems") or len(model.options["sources"])
    labels = tuple(model.labels[:published])
    small = options(model.architecture, labels)
    return replace(model, options=small, chunk_samples=SMALL_CHUNK_SAMPLES)


def engine(model: registry.Model, device: str, precision: str, threads: int) -> TorchWaveformEngine:
    """The engine with random weights, always the same ones."""
    os.environ["STEMWRIGHT_PRECISION"] = precision
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{index}.pt" for index in range(len(model.files))]
        for path in paths:
            torch.save(random_network(model).state_dict(), path)
        return TorchWaveformEngine(model, paths, device=device, threads=threads)


class CountedCalls:
    """Notes the batches that an engine tried, the failed ones included."""

    def __init__(self, watched: TorchWaveformEngine) -> None:
        self.batches: list[int] = []
        self._watched = watched
        self._inner = watched._separate
        watched._separate = self._noted  # type: ignore[method-assign]

    def separate(self, chunks: Samples) -> Samples:
        """As the engine's."""
        return self._watched.separate(chunks)

    def _noted(self, chunks: Samples) -> Samples:
        self.batches.append(len(chunks))
        return self._inner(chunks)


def noise(chunks: int, samples: int) -> Samples:
    """``(chunks, 2, samples)`` at the level of music."""
    random = np.random.default_rng(0)
    return (0.1 * random.standard_normal((chunks, 2, samples))).astype(np.float32)


def error_db(found: Samples, true: Samples) -> float:
    """Energy of the difference over the energy of the reference, in dB; -200 where they are equal."""
    difference = np.square(found.astype(np.float64) - true).sum()
    return float(10 * np.log10(max(difference / np.square(true.astype(np.float64)).sum(), 1e-20)))


def check_precision(step: Step) -> dict[str, Any]:
    """The device in this precision against float32 on the CPU."""
    model = described_model(step)
    chunk = noise(1, model.chunk_samples)
    true = engine(model, "cpu", "float32", step.threads).separate(chunk)
    found = engine(model, step.device, step.precision, step.threads).separate(chunk)
    return {"error_db": round(error_db(found, true), 1), "finite": bool(np.isfinite(found).all())}


def check_throughput(step: Step) -> dict[str, Any]:
    """Seconds of song per second and device memory for each batch, and the batch that the engine takes."""
    model = described_model(step)
    ours = engine(model, step.device, step.precision, step.threads)
    rows = []
    for batch in BATCHES:
        chunks = noise(batch, model.chunk_samples)
        reset_peak(step.device)
        try:
            ours.separate(chunks)
        except ModelUnavailableError as error:
            rows.append({"batch": batch, "error": str(error)})
            break
        seconds = fastest_s(partial(ours.separate, chunks), step.device)
        song_s = batch * model.chunk_samples / model.sample_rate_hz
        rows.append(
            {
                "batch": batch,
                "realtime_factor": round(song_s / seconds, 2),
                "device_mb": round(peak_device_mb(step.device)),
            }
        )
    return {"batches": rows, "chosen_batch": ours.batch}


def check_memory(step: Step) -> dict[str, Any]:
    """Runs out of memory on purpose: a batch that does not fit must give the same stems, one chunk must give an error."""
    model = described_model(step)
    ours = engine(model, step.device, step.precision, step.threads)
    chunks = noise(MEMORY_BATCH, model.chunk_samples)
    held_mb = reset_peak(step.device)
    first = ours.separate(chunks[:1])
    one_mb = peak_device_mb(step.device) - held_mb
    straight = np.concatenate([first, *(ours.separate(chunk[None]) for chunk in chunks[1:])])
    calls = CountedCalls(ours)
    with limited_memory(step.device, 2.5 * one_mb):
        found = calls.separate(chunks)
    message = ""
    with limited_memory(step.device, 0.1 * one_mb):
        try:
            ours.separate(chunks[:1])
        except ModelUnavailableError as error:
            message = str(error)
    return {
        "one_chunk_mb": round(one_mb),
        "error_db": round(error_db(found, straight), 1),
        "batches": calls.batches,
        "message": message,
    }


def check_song(step: Step) -> dict[str, Any]:
    """A minute of song through the whole separator: the stems must add up to it."""
    from stemwright import Separator

    model = described_model(step)
    separator = Separator.of_engine(engine(model, step.device, step.precision, step.threads), threads=step.threads)
    seconds = 3 if step.small else 60
    song = noise(1, seconds * model.sample_rate_hz)[0]
    began = time.perf_counter()
    stems = separator.separate(song, sample_rate=model.sample_rate_hz, stems="twelve")
    taken_s = time.perf_counter() - began
    total = np.sum([np.asarray(stem, np.float64) for stem in stems.values()], axis=0)
    return {
        "sum_error_peak": float(np.abs(total - song).max()),
        "realtime_factor": round(seconds / taken_s, 2),
    }


def check_peer(step: Step) -> dict[str, Any]:
    """The network of a peer's package and ours, one chunk after the other."""
    model = described_model(step)
    place, unknown = PEER_NETWORKS[model.architecture]
    sys.path.append(step.peers)
    try:
        module, class_name = place.split(":")
        network_class = getattr(importlib.import_module(module), class_name)
    except ImportError as error:
        return {"left_out": f"the peer's package cannot be imported: {error}"}
    options = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in model.options.items()
        if name not in unknown
    }
    network = network_class(**options).eval().to(step.device)
    ours = engine(model, step.device, step.precision, step.threads)
    chunk = noise(1, model.chunk_samples)
    song = torch.from_numpy(chunk)

    @torch.inference_mode()
    def peer() -> object:
        with torch.autocast(step.device, getattr(torch, step.precision), enabled=step.precision != "float32"):
            return network(song.to(step.device)).cpu()

    peer()
    ours.separate(chunk)
    peer_s, ours_s = fastest_s(peer, step.device), fastest_s(lambda: ours.separate(chunk), step.device)
    return {"peer_s": round(peer_s, 4), "ours_s": round(ours_s, 4), "times_its_speed": round(peer_s / ours_s, 2)}


STEPS: Mapping[str, Callable[[Step], dict[str, Any]]] = {
    "precision": check_precision,
    "throughput": check_throughput,
    "memory": check_memory,
    "song": check_song,
    "peer": check_peer,
}


def fastest_s(run: Callable[[], object], device: str, turns: int = 3) -> float:
    """Seconds of the fastest of some turns."""
    taken = []
    for _ in range(turns):
        synchronize(device)
        began = time.perf_counter()
        run()
        synchronize(device)
        taken.append(time.perf_counter() - began)
    return min(taken)


def synchronize(device: str) -> None:
    """Waits until the device has done what it was given."""
    if device == "cuda":
        torch.cuda.synchronize()
    elif device == "mps":
        torch.mps.synchronize()


def reset_peak(device: str) -> float:
    """Starts a measurement of memory; returns what is held now, in MB."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 1e6
    if device == "mps":
        torch.mps.empty_cache()
        return torch.mps.driver_allocated_memory() / 1e6
    return status_mb("VmSize")


def peak_device_mb(device: str) -> float:
    """The most memory of the device since the measurement began; on Apple GPUs what the driver holds now."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    if device == "mps":
        return torch.mps.driver_allocated_memory() / 1e6
    return status_mb("VmPeak")


@contextmanager
def limited_memory(device: str, megabytes: float) -> Iterator[None]:
    """In the context, this process gets at most ``megabytes`` more memory of the device than it holds now."""
    most = (reset_peak(device) + megabytes) * 1e6
    if device == "cpu":
        import resource

        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (int(most), before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)
        return
    gpu = torch.cuda if device == "cuda" else torch.mps
    total = torch.cuda.get_device_properties(0).total_memory if device == "cuda" else torch.mps.recommended_max_memory()
    gpu.set_per_process_memory_fraction(most / total)
    try:
        yield
    finally:
        gpu.set_per_process_memory_fraction(1.0)


def status_mb(name: str) -> float:
    """A line of ``/proc/self/status`` that is in kB, in MB (Linux)."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) * 1024 / 1e6


def main() -> None:
    """Runs the step named on the command line."""
    step = Step(**json.loads(sys.argv[1]))
    print(json.dumps(STEPS[step.kind](step)), flush=True)


if __name__ == "__main__":
    main()
