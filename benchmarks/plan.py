"""Speed and memory of a plan of published networks with random weights of the published size: ``python -m benchmarks.plan``.

Whole processes of ``stemwright separate --stems twelve --plan NAME``, with a weights folder in which random weights have
the names of the published files. The process that separates is told their sizes and digests. Random outputs may exceed
full scale, and stems are then written a second time with a common gain, which real ones seldom need.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.ours import random_network
from benchmarks.plan_process import MODELS_VARIABLE
from benchmarks.separate import write_song
from stemwright.models import devices, licences
from stemwright.models.registry import Model
from stemwright.separation.model_choice import choose_models
from stemwright.separation.plan import plan_of
from stemwright.stems import select


def write_random_weights(model: Model, folder: Path) -> None:
    """Writes every file of a model as its publisher does: tensors of half precision in a table ``state``."""
    network = random_network(model)
    for file in model.files:
        state = {
            name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
        }
        torch.save({"state": state}, folder / file.name)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measures a plan with random weights of the published size.")
    parser.add_argument("--plan", default="good")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, nargs="*", default=[3.0, 20.0])
    parser.add_argument("--stems", default="twelve")
    parser.add_argument("--runtime", choices=devices.RUNTIMES, default="auto", help="onnx: as without PyTorch")
    options = parser.parse_args()
    choice = choose_models(plan_of(options.plan), select(options.stems), licences.policy(), download=True)
    published = [model for model in choice.models if not model.in_wheel]
    names = ", ".join(model.name for model in published)
    machine = platform.processor() or platform.machine()
    print(f"{machine}, Python {platform.python_version()}; {options.plan}: {names}; runtime {options.runtime}")
    with tempfile.TemporaryDirectory() as folder:
        for model in published:
            write_random_weights(model, Path(folder))
        first_mb: float | None = None
        for minutes in options.minutes:
            song = Path(folder) / "song.wav"
            write_song(song, minutes)
            facts, cpu_s = _separate(options, song, [model.name for model in published])
            first_mb = first_mb or facts["peak_rss_mb"]
            change = 100 * (facts["peak_rss_mb"] / first_mb - 1)
            print(
                f"{minutes:g} minutes, {options.stems}: {facts['elapsed_s']:.1f} s, {facts['realtime_factor']:.2f} x real "
                f"time, {cpu_s:.0f} s of processor time, {facts['peak_rss_mb']:.0f} MB ({change:+.1f} %), "
                f"gain {facts['gain_db']:+.1f} dB",
                flush=True,
            )


def _separate(options: argparse.Namespace, song: Path, names: list[str]) -> tuple[dict[str, float], float]:
    """The result of one run, and its processor time in seconds."""
    environment = os.environ | {
        "STEMWRIGHT_MODELS_DIR": str(song.parent),
        "STEMWRIGHT_CACHE_DIR": str(song.parent / "cache"),
        "STEMWRIGHT_RUNTIME": options.runtime,
        MODELS_VARIABLE: ",".join(names),
    }
    command = [sys.executable, "-m", "benchmarks.plan_process", "separate", str(song), "--plan", options.plan]
    command += ["--stems", options.stems, "--threads", str(options.threads), "--out", str(song.parent / "out")]
    command += ["--overwrite", "--json", "--quiet"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts: dict[str, float] = json.loads(done.stdout)
    return facts, cpu_s


if __name__ == "__main__":
    main()
