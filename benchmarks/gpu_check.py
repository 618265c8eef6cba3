"""Checks all architectures on a GPU within minutes: ``scripts/gpu-check``.

Each step runs in a process of its own (``benchmarks.gpu_steps``), so that a crash or a full memory spoils one step alone.
The most important steps come first. Results are written after each step; what no time was left for is listed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.gpu_steps import PEER_NETWORKS, Step
from stemwright.models import registry

PRECISIONS = {"cuda": ("float32", "float16", "bfloat16"), "mps": ("float32", "float16"), "cpu": ("float32", "bfloat16")}
FASTEST = {"cuda": "float16", "mps": "float32", "cpu": "float32"}
"""The precision that separations use on a device by default."""

MAX_ERROR_DB = {"float32": -80.0, "float16": -40.0, "bfloat16": -35.0}
"""Largest error against float32 on the CPU, below the output."""

MAX_SUM_ERROR = 1e-5
"""Largest difference between the song and the sum of its stems, of full scale: the stems are float32."""


@dataclass(frozen=True)
class Outcome:
    """Result of a step: its facts, how long it took, and what is wrong (empty: nothing)."""

    step: Step
    facts: dict[str, Any]
    seconds: float
    wrong: str

    def table(self) -> dict[str, Any]:
        """For the result file."""
        step = {"kind": self.step.kind, "model": self.step.model, "precision": self.step.precision}
        return {**step, "seconds": round(self.seconds, 1), "wrong": self.wrong, **self.facts}


def one_model_each() -> tuple[str, ...]:
    """The first registered model of each architecture."""
    first: dict[str, str] = {}
    for model in registry.models():
        if model.runtime == "pytorch":
            first.setdefault(model.architecture, model.name)
    return tuple(first.values())


def steps(models: Sequence[str], device: str, *, small: bool, threads: int, peers: str) -> Iterator[Step]:
    """All steps, the most important ones first."""
    usual = FASTEST[device]

    def step(kind: str, model: str, precision: str) -> Step:
        return Step(kind, model, device, precision, small, threads, peers)

    for precision in (usual, *(other for other in PRECISIONS[device] if other != usual)):
        for model in models:
            yield step("precision", model, precision)
    for model in models:
        yield step("throughput", model, usual)
    for model in models:
        yield step("memory", model, usual)
    for model in models:
        yield step("song", model, usual)
    if peers:
        for model in models:
            if registry.find(model).architecture in PEER_NETWORKS:
                for precision in ("float32", usual) if usual != "float32" else (usual,):
                    yield step("peer", model, precision)


def run(step: Step, limit_s: float) -> Outcome:
    """Runs a step in a process, and ends it after ``limit_s``."""
    began = time.monotonic()
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": "65536",  # freed memory goes back at once, so that a limit on it is felt
        "OMP_NUM_THREADS": str(step.threads),
    }
    command = [sys.executable, "-m", "benchmarks.gpu_steps", step.to_json()]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=max(1.0, limit_s), env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return Outcome(step, {}, time.monotonic() - began, f"not done after {limit_s:.0f} s")
    seconds = time.monotonic() - began
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return Outcome(step, {}, seconds, f"ended with {done.returncode}: {last[:300]}")
    facts = json.loads(done.stdout.splitlines()[-1])
    return Outcome(step, facts, seconds, verdict(step, facts))


def verdict(step: Step, facts: dict[str, Any]) -> str:
    """What is wrong with the facts of a step; empty if nothing is."""
    if "left_out" in facts:
        return ""
    if step.kind == "precision":
        if not facts["finite"]:
            return "the output is not finite"
        if facts["error_db"] > MAX_ERROR_DB[step.precision]:
            return f"the error of {facts['error_db']} dB is above {MAX_ERROR_DB[step.precision]} dB"
    if step.kind == "memory":
        if facts["error_db"] > MAX_ERROR_DB[step.precision]:
            return f"smaller batches change the output: {facts['error_db']} dB"
        if len(facts["batches"]) < 2 or facts["batches"][0] <= facts["batches"][-1]:
            return f"the batch was not made smaller: {facts['batches']}"
        if "does not fit into the memory" not in facts["message"]:
            return f"one chunk without memory gave '{facts['message']}'"
    if step.kind == "song" and facts["sum_error_peak"] > MAX_SUM_ERROR:
        return f"the stems miss the song by {facts['sum_error_peak']:.1e}"
    return ""


def machine(device: str) -> dict[str, str]:
    """Names of what was measured on."""
    import torch

    name = torch.cuda.get_device_name(0) if device == "cuda" else platform.processor() or platform.machine()
    return {"device": device, "name": name, "torch": torch.__version__, "python": platform.python_version()}


def find_device() -> str:
    """The GPU of this machine."""
    import torch

    return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the steps and prints one line for each; returns 1 if something is wrong."""
    parser = argparse.ArgumentParser(prog="scripts/gpu-check", description=__doc__.split("\n")[0])
    parser.add_argument("--device", choices=sorted(PRECISIONS), help="default: the GPU of this machine")
    parser.add_argument("--minutes", type=float, default=9.0, help="no step is begun or goes on after this time")
    parser.add_argument("--models", nargs="+", metavar="MODEL", help="default: one of each architecture")
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help="precision, throughput, memory, song, peer; default: all"
    )
    parser.add_argument("--small", action="store_true", help="small networks: a rehearsal")
    parser.add_argument("--threads", type=int, default=min(8, os.cpu_count() or 1), help="CPU threads")
    parser.add_argument("--peers", default="", metavar="FOLDER", help="folder with the peers' packages")
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"), help="result file")
    options = parser.parse_args(arguments)
    ends = time.monotonic() + 60 * options.minutes
    device = options.device or find_device()
    result: dict[str, Any] = {"machine": machine(device), "small": options.small, "steps": [], "left_out": []}
    print(json.dumps(result["machine"]), flush=True)
    wrong = 0
    models = options.models or one_model_each()
    for step in steps(models, device, small=options.small, threads=options.threads, peers=options.peers):
        if options.kinds and step.kind not in options.kinds:
            continue
        name = f"{step.kind} {step.model} {step.precision}"
        left_s = ends - time.monotonic()
        if left_s <= 0:
            result["left_out"].append(name)
            continue
        outcome = run(step, left_s)
        wrong += bool(outcome.wrong)
        result["steps"].append(outcome.table())
        part = options.out.with_name(f"{options.out.name}.part")
        part.write_text(json.dumps(result, indent=1) + "\n")
        part.replace(options.out)
        print(f"{name}: {outcome.wrong or 'ok'} in {outcome.seconds:.1f} s {json.dumps(outcome.facts)}", flush=True)
    if result["left_out"]:
        print(f"no time was left for: {', '.join(result['left_out'])}", flush=True)
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(result['steps'])} steps, {wrong} wrong; the figures are in {options.out}", flush=True)
    return 1 if wrong or result["left_out"] else 0


if __name__ == "__main__":
    sys.exit(main())
