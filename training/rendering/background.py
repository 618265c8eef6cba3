"""Renders songs with their singing in worker processes, by itself or beside a round of training.

    python -m training.rendering.background --first 5000 --count 600 --workers 14
    python -m training.rendering.background --first 5000 --count 600 --instruments 2 --recorded 0.75 --sung 0.3

Makes in one pass what ``training.rendering.corpus`` makes in two. A round loads the songs as they are finished. With
``--instruments 2`` only songs with at least two of strings, brass, woodwinds, percussion and synth are rendered.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from training.compose.song import compose
from training.instruments import soundfont
from training.instruments.library import InstrumentChoice
from training.rendering import corpus

LOG_TAIL_LINES = 3
HELD_STEMS = ("strings", "brass", "woodwinds", "percussion", "synth")
"""The stems that the network confuses most, even alone; composed songs have each of them about one time in three."""


class BackgroundRenderer:
    """Another process that renders songs. It ends with this process, however this process ends.

    Attributes:
        log: file with its output.
    """

    def __init__(self, out: Path, first: int, count: int, workers: int, log: Path) -> None:
        self.log = log
        command = [sys.executable, "-m", "training.rendering.background", "--attached", "--out", str(out.resolve())]
        command += ["--first", str(first), "--count", str(count), "--workers", str(workers)]
        root = Path(__file__).parents[2]
        with log.open("w") as told:
            self._process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=told, stderr=subprocess.STDOUT, cwd=root, start_new_session=True
            )

    @property
    def running(self) -> bool:
        """Whether it still renders."""
        return self._process.poll() is None

    def failure_message(self) -> str | None:
        """The end of its log, if it failed."""
        if not self._process.poll():
            return None
        tail = "\n".join(self.log.read_text().splitlines()[-LOG_TAIL_LINES:])
        return f"Rendering ended with {self._process.returncode}: {tail}\nAll of it: {self.log}"

    def stop(self) -> None:
        """Stops it and its workers; unfinished songs are dropped."""
        if self.running:
            os.killpg(self._process.pid, signal.SIGTERM)
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()


@contextmanager
def render_in_background(out: Path, first: int, count: int, workers: int, log: Path) -> Iterator[BackgroundRenderer]:
    """Renders until the block ends."""
    begun = BackgroundRenderer(out, first, count, workers, log)
    try:
        yield begun
    finally:
        begun.stop()


def render_with_singing(out: Path, instruments: int, sung: float, choice: InstrumentChoice, seed: int) -> str:
    """Renders one song if it has at least so many of ``HELD_STEMS``, and its singing with a probability of ``sung``;
    returns a line about it."""
    if instruments and len({part.stem for part in compose(seed).parts} & set(HELD_STEMS)) < instruments:
        return f"song {seed} is left out: it has fewer than {instruments} of {', '.join(HELD_STEMS)}"
    line = corpus.render_song(out, seed, choice)
    return f"{line}; {corpus.add_singing(out, seed)}" if np.random.default_rng((seed, 3)).random() < sung else line


def main() -> None:
    """Reads the command line and renders."""
    parser = argparse.ArgumentParser(description="Renders songs with their singing.")
    parser.add_argument("--out", type=Path, default=corpus.DEFAULT_FOLDER)
    parser.add_argument("--first", type=int, default=0, help="seed of the first song")
    parser.add_argument("--count", type=int, default=150, help="how many songs")
    parser.add_argument("--workers", type=int, default=2, help="processes")
    parser.add_argument(
        "--instruments", type=int, default=0, help=f"only songs with at least so many of {', '.join(HELD_STEMS)}"
    )
    parser.add_argument(
        "--recorded", type=float, default=InstrumentChoice.share, help="share of parts on recorded instruments"
    )
    parser.add_argument("--sung", type=float, default=1.0, help="share of the songs with singing that are sung")
    parser.add_argument("--attached", action="store_true", help="end when standard input does")
    options = parser.parse_args()
    if options.attached:
        threading.Thread(target=_end_with_input, daemon=True).start()
    os.nice(10)  # training has priority
    options.out.mkdir(parents=True, exist_ok=True)
    soundfont.preload()
    if not (sings := find_spec("pyworld") is not None):
        print("The songs have no singing, since pyworld is not installed: pip install pyworld.", flush=True)
    sung, choice = options.sung if sings else 0.0, InstrumentChoice(share=options.recorded)
    job = partial(render_with_singing, options.out, options.instruments, sung, choice)
    with ProcessPoolExecutor(options.workers, multiprocessing.get_context("fork")) as pool:
        for line in pool.map(job, range(options.first, options.first + options.count)):
            print(line, flush=True)


def _end_with_input() -> None:
    # Not through sys.stdin, whose lock the workers would inherit.
    while os.read(0, 1):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)


if __name__ == "__main__":
    main()
