"""Speed and memory of a plan of published networks with random weights of the published size: ``python -m benchmarks.plan``.

Whole processes of ``stemwright separate --stems twelve --plan NAME``, with a weights folder in which random weights have
the names of the published files. The process that separates is told their sizes and digests. Random outputs may exceed
full scale, and stems are then written a second time with a common gain, which real ones seldom need.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from benchmarks.ours import random_network
from benchmarks.separate import write_song
from stemwright.cli.app import app
from stemwright.models import licences, registry
from stemwright.models.registry import Model
from stemwright.separation.model_choice import choose_models
from stemwright.separation.plan import plan_of
from stemwright.stems import select

CHILD = "STEMWRIGHT_BENCHMARK_MODELS"
"""Variable that names the models whose weights are random, for the process that separates."""


def write_random_weights(model: Model, folder: Path) -> None:
    """Writes every file of a model as its publisher does: tensors of half precision in a table ``state``."""
    network = random_network(model)
    for file in model.files:
        state = {
            name: value.half() if value.is_floating_point() else value for name, value in network.state_dict().items()
        }
        torch.save({"state": state}, folder / file.name)


def with_random_weights(model: Model, folder: Path) -> Model:
    """The model with the sizes and digests of the files that are there."""
    files = []
    for file in model.files:
        content = (folder / file.name).read_bytes()
        files.append(replace(file, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    return replace(model, files=tuple(files))


def separate_as_child(arguments: list[str], names: list[str], folder: Path) -> None:
    """Runs the command with these models replaced."""
    replaced = {name: with_random_weights(registry.find(name), folder) for name in names}
    shipped = tuple(replaced.get(model.name, model) for model in registry.models())
    registry._shipped = lambda: shipped  # type: ignore[assignment]  # its cache is not needed here
    app(arguments, prog_name="stemwright")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measures a plan with random weights of the published size.")
    parser.add_argument("--plan", default="good")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--minutes", type=float, nargs="*", default=[3.0, 20.0])
    parser.add_argument("--stems", default="twelve")
    options = parser.parse_args()
    choice = choose_models(plan_of(options.plan), select(options.stems), licences.policy(), download=True)
    published = [model for model in choice.models if not model.in_wheel]
    names = ", ".join(model.name for model in published)
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}; {options.plan}: {names}")
    with tempfile.TemporaryDirectory() as folder:
        for model in published:
            write_random_weights(model, Path(folder))
        first_mb: float | None = None
        for minutes in options.minutes:
            song = Path(folder) / "song.wav"
            write_song(song, minutes)
            facts, cpu_s = _separate(
                options.plan, options.stems, options.threads, song, [model.name for model in published]
            )
            first_mb = first_mb or facts["peak_rss_mb"]
            change = 100 * (facts["peak_rss_mb"] / first_mb - 1)
            print(
                f"{minutes:g} minutes, {options.stems}: {facts['elapsed_s']:.1f} s, {facts['realtime_factor']:.2f} x real "
                f"time, {cpu_s:.0f} s of processor time, {facts['peak_rss_mb']:.0f} MB ({change:+.1f} %), "
                f"gain {facts['gain_db']:+.1f} dB",
                flush=True,
            )


def _separate(plan: str, stems: str, threads: int, song: Path, names: list[str]) -> tuple[dict[str, float], float]:
    """The result of one run, and its processor time in seconds."""
    environment = os.environ | {
        "STEMWRIGHT_MODELS_DIR": str(song.parent),
        "STEMWRIGHT_CACHE_DIR": str(song.parent / "cache"),
        CHILD: ",".join(names),
    }
    command = [sys.executable, "-m", "benchmarks.plan", "separate", str(song), "--plan", plan, "--stems", stems]
    command += ["--threads", str(threads), "--out", str(song.parent / "out"), "--overwrite", "--json", "--quiet"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, check=True, env=environment, stdout=subprocess.PIPE)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    facts: dict[str, float] = json.loads(done.stdout)
    return facts, cpu_s


if __name__ == "__main__":
    if os.environ.get(CHILD):
        separate_as_child(sys.argv[1:], os.environ[CHILD].split(","), Path(os.environ["STEMWRIGHT_MODELS_DIR"]))
    else:
        main()
