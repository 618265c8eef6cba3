"""Speed of large models compared with other packages, and memory by length of the song: ``make bench-models``.

Published sizes, random weights (speed does not depend on them), one chunk of the published length at a time, two threads.
Our process and the peer's alternate, so that other load on the machine affects both; the result is the median of the
ratios. Both use the same overlap, so chunk times are comparable.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.separate import write_song
from stemwright.models import registry

SINGLE_MODELS = ("mel-band-roformer-kim", "scnet-large")
"""Models of the other architectures, for speed and error of half precision."""

BOTH_RUNTIMES = ("htdemucs-6s",)
"""Models that PyTorch and ONNX Runtime can run; which is faster decides ``models.devices.runtime_of``."""

CHUNK_SAMPLES = 352_800
"""Chunk length of published RoFormers: 8 s."""

PEERS = Path(__file__).parents[1] / ".venv-peers"


@dataclass(frozen=True)
class PeerComparison:
    """One of our models and the network of a peer's package, which is installed in a folder of ``.venv-peers``.

    ``fixed`` are options that the package does not have, since it only supports this value.
    """

    model: str
    peer: str
    network: str
    fixed: tuple[str, ...] = ()


PEER_COMPARISONS = (
    PeerComparison(
        "bs-roformer-viperx-1297",
        "bs_roformer_infer",
        "bs_roformer:BSRoformer",
        fixed=("linear_transformer_depth", "mlp_expansion_factor"),
    ),
    PeerComparison("htdemucs", "demucs_infer", "demucs_infer.htdemucs:HTDemucs"),
)


class Runner:
    """A process that runs one chunk per request."""

    def __init__(self, command: Sequence[str], facts: dict[str, Any]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._write_line(json.dumps(facts))
        self.first = self._read_line()

    def seconds(self) -> float:
        """Runs one chunk."""
        self._write_line("")
        return float(self._read_line())

    def _write_line(self, line: str) -> None:
        assert self._process.stdin is not None
        print(line, file=self._process.stdin, flush=True)

    def _read_line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._process.args!r} ended with {self._process.wait()}.")
        return line.strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def benchmark_against_peer(one: PeerComparison, precision: str, threads: int, turns: int) -> None:
    """Runs both alternately and prints their times."""
    model = registry.find(one.model)
    ours = {"model": model.name, "precision": precision, "threads": threads}
    options = {name: value for name, value in model.options.items() if name not in one.fixed}
    theirs = {"options": options, "samples": model.chunk_samples, "threads": threads}
    # -P: no module next to the script can shadow the peer's packages
    peer = [str(PEERS / one.peer / "bin/python"), "-P", str(Path(__file__).with_name("peer.py")), one.network]
    with Runner([sys.executable, "-m", "benchmarks.ours"], ours) as mine, Runner(peer, theirs) as other:
        facts = json.loads(mine.first)
        pairs = [(mine.seconds(), other.seconds()) for _ in range(turns)]
    mine_s, other_s = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    ratio = statistics.median(theirs / mine for mine, theirs in pairs)
    chunk_s = model.chunk_samples / model.sample_rate_hz
    error = "" if facts["error_db"] is None else f", error {facts['error_db']:.1f} dB"
    print(
        f"{model.name} {precision}: {mine_s:.2f} s for {chunk_s:.1f} s of song, {one.peer} {other_s:.2f} s: "
        f"{ratio:.2f} times its speed{error}, {facts['peak_rss_mb']:.0f} MB",
        flush=True,
    )


def benchmark_model(name: str, precision: str, threads: int, turns: int) -> None:
    """Prints how long a model takes, and the error of a precision."""
    model = registry.find(name)
    ours = {"model": model.name, "precision": precision, "threads": threads}
    with Runner([sys.executable, "-m", "benchmarks.ours"], ours) as mine:
        facts = json.loads(mine.first)
        taken_s = statistics.median(mine.seconds() for _ in range(turns))
    error = "" if facts["error_db"] is None else f", error {facts['error_db']:.1f} dB"
    chunk_s = model.chunk_samples / model.sample_rate_hz
    print(f"{model.name} {precision}: {taken_s:.2f} s for {chunk_s:.1f} s of song{error}", flush=True)


def benchmark_runtimes(name: str, precision: str, threads: int, turns: int, *, processor_time: bool) -> None:
    """Runs a model that has a graph in PyTorch and in ONNX Runtime, alternately, and prints their times.

    Processor time is that of one thread: more wait for each other in loops.
    """
    model = registry.find(name)
    facts = {"model": model.name, "precision": precision, "threads": 1 if processor_time else threads}
    facts |= {"processor_time": processor_time}
    graph = [sys.executable, "-m", "benchmarks.in_onnx_runtime"]
    with Runner([sys.executable, "-m", "benchmarks.ours"], facts) as ours, Runner(graph, facts) as other:
        in_torch, in_graph = json.loads(ours.first), json.loads(other.first)
        pairs = [(ours.seconds(), other.seconds()) for _ in range(turns)]
    torch_s, graph_s = (statistics.median(pair[place] for pair in pairs) for place in (0, 1))
    best_torch_s, best_graph_s = (min(pair[place] for pair in pairs) for place in (0, 1))
    print(
        f"{model.name} in PyTorch, {precision}: {torch_s:.2f} s (best {best_torch_s:.2f}), "
        f"{in_torch['peak_rss_mb']:.0f} MB; "
        f"in ONNX Runtime, float32: {graph_s:.2f} s (best {best_graph_s:.2f}), {in_graph['peak_rss_mb']:.0f} MB: "
        f"{statistics.median(first / second for first, second in pairs):.2f} times its speed",
        flush=True,
    )


def memory(minutes: Sequence[float]) -> None:
    """Separates songs of several lengths with a narrow network at the published chunk length."""
    from tests.models.published import msst_pair

    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "STEMWRIGHT_MODELS_DIR": folder}
        pair = msst_pair(Path(folder), "bs_roformer", chunk_samples=CHUNK_SAMPLES)
        stemwright = [sys.executable, "-m", "stemwright"]
        add = ["models", "add", "--name", "narrow", "--config", str(pair.config), "--checkpoint", str(pair.checkpoint)]
        subprocess.run([*stemwright, *add], check=True, env=environment, capture_output=True)
        first: float | None = None
        for length in minutes:
            song = Path(folder) / "song.wav"
            write_song(song, length)
            separate = ["separate", str(song), "--plan", "narrow", "--out", f"{folder}/out", "--overwrite", "--json"]
            done = subprocess.run([*stemwright, *separate, "--quiet"], check=True, env=environment, capture_output=True)
            facts = json.loads(done.stdout)
            first = first or facts["peak_rss_mb"]
            print(
                f"{length:g} minutes through a narrow BS-RoFormer, chunks of 8 s: {facts['peak_rss_mb']:.0f} MB "
                f"({100 * (facts['peak_rss_mb'] / first - 1):+.1f} %), {facts['realtime_factor']:.1f} x real time",
                flush=True,
            )


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measures the big models against the packages that people use.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5, help="chunks that each of the two runs")
    parser.add_argument("--precision", nargs="*", default=["float32", "bfloat16"])
    parser.add_argument(
        "--processor-time", action="store_true", help="compare runtimes by processor time, where the machine is busy"
    )
    parser.add_argument("--only", nargs="*", metavar="MODEL", help="these models only")
    parser.add_argument("--minutes", type=float, nargs="*", default=[3.0, 20.0], help="songs to measure memory with")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    requested = (
        {one.model for one in PEER_COMPARISONS} | set(SINGLE_MODELS) if options.only is None else set(options.only)
    )
    for one in (one for one in PEER_COMPARISONS if one.model in requested):
        for precision in options.precision:
            benchmark_against_peer(one, precision, options.threads, options.turns)
    for name in (name for name in SINGLE_MODELS if name in requested):
        for precision in options.precision:
            benchmark_model(name, precision, options.threads, options.turns)
    for name in (name for name in BOTH_RUNTIMES if options.only is None or name in requested):
        for precision in options.precision:
            benchmark_runtimes(name, precision, options.threads, options.turns, processor_time=options.processor_time)
    memory(options.minutes)


if __name__ == "__main__":
    main()
