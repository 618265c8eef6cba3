"""Speed and memory of the separator on this machine: ``make bench``.

Each value is for a whole new process, including Python's start, loading of the model, decoding and writing of twelve
WAV files. The song is made here: chords, a beat and noise in stereo, 44.1 kHz, 16 bits. Speed depends on the song only
where a stem would leave full scale and the files are written a second time.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

RATE = 44_100


def write_song(path: Path, minutes: float) -> None:
    """Writes a song of that length, block by block."""
    rng = np.random.default_rng(1)
    with soundfile.SoundFile(path, "w", RATE, 2, "PCM_16") as file:
        for bar in range(round(minutes * 30)):
            t = np.arange(2 * RATE) / RATE
            root = 110 * 2 ** (rng.choice([0, 3, 5, 7]) / 12)
            chord = sum(np.sin(2 * np.pi * root * ratio * t) / ratio for ratio in (0.5, 1, 1.25, 1.5, 2, 3, 4))
            beat = np.exp(-9 * (t % 0.5)) * rng.standard_normal(len(t))
            side = 0.05 * rng.standard_normal((len(t), 2))
            file.write(0.08 * (chord + 0.8 * beat)[:, None] * (1 + 0.1 * (bar % 3)) + side * 0.2)


def separate(song: Path, out: Path) -> dict[str, float]:
    """Runs the command once; returns its result and the run time of the whole process in seconds."""
    command = [sys.executable, "-m", "stemwright", "separate", str(song), "--stems", "twelve", "--out", str(out)]
    begun = time.monotonic()
    done = subprocess.run([*command, "--overwrite", "--json", "--quiet"], check=True, capture_output=True)
    facts: dict[str, float] = json.loads(done.stdout)
    return {**facts, "process_s": time.monotonic() - begun}


def median_s(command: list[str], runs: int) -> float:
    """Median seconds of a whole process."""
    times = []
    for _ in range(runs):
        begun = time.monotonic()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.monotonic() - begun)
    return statistics.median(times)


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Measures speed and memory of twelve-stem separation.")
    parser.add_argument("--runs", type=int, default=3, help="runs of the 3-minute song; the median counts")
    parser.add_argument("--minutes", type=float, nargs="*", default=[20.0], help="longer songs to measure memory with")
    options = parser.parse_args()
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder:
        song, out = Path(folder) / "song.wav", Path(folder) / "out"
        write_song(song, 3)
        runs = [separate(song, out) for _ in range(options.runs)]
        process_s = statistics.median(run["process_s"] for run in runs)
        short_mb = statistics.median(run["peak_rss_mb"] for run in runs)
        print(f"3 minutes, twelve WAV files: {process_s:.1f} s, {180 / process_s:.1f} x real time, {short_mb:.0f} MB")
        for minutes in options.minutes:
            write_song(song, minutes)
            run = separate(song, out)
            change = 100 * (run["peak_rss_mb"] / short_mb - 1)
            print(
                f"{minutes:g} minutes: {run['process_s']:.1f} s, {60 * minutes / run['process_s']:.1f} x real time, "
                f"{run['peak_rss_mb']:.0f} MB ({change:+.1f} %)"
            )
    print(f"stemwright --help: {median_s([sys.executable, '-m', 'stemwright', '--help'], 7):.2f} s")
    print(f"import stemwright: {median_s([sys.executable, '-c', 'import stemwright'], 7):.2f} s")


if __name__ == "__main__":
    main()
