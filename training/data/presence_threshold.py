"""Calibrates presence: the share of the mix above which a stem counts as playing, measured on held-out composed songs.

    python -m training.data.presence_threshold training/corpus

Each held-out song is separated by the network in the wheel as it is and, to have enough absent stems, three times with
half of its stems left out. The output has the quantiles of the levels of present and absent stems, the best logistic
curve between them, and the threshold that keeps 98 % of the present stems: ``BORDER_DB`` and ``SLOPE_DB`` of
``stemwright.separation.presence``. The threshold is low, since silencing a present stem loses it, while keeping an
absent one costs only faint leakage.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemwright.cpu_memory_limits import cores
from stemwright.models import registry
from stemwright.models.engine import MaskEngine
from stemwright.models.engine_loading import load_engine
from stemwright.separation.engine_cache import SCAN_MODEL
from stemwright.separation.presence_scan import scan_presence
from stemwright.separation.source import ArraySource
from training.data.songs import Corpus

Audio = NDArray[np.float32]
KEPT = 0.98
HALVES = 3


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description="Calibrates presence on held-out composed songs.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    playing: list[float] = []
    absent: list[float] = []
    engine = load_engine(registry.find(SCAN_MODEL), device="cpu", threads=cores())
    assert isinstance(engine, MaskEngine)
    for song in (song for song in Corpus(options.corpus).songs() if song.held_out):
        stems = {stem: _read(path) for stem, path in song.stems.items()}
        halves = [{stem: audio for stem, audio in stems.items() if rng.random() < 0.5} for _ in range(HALVES)]
        for chosen in (stems, *halves):
            if chosen:
                for stem, level in levels_db(engine, np.sum(list(chosen.values()), axis=0)).items():
                    (playing if stem in chosen else absent).append(level)
    for name, found in (("playing", playing), ("absent", absent)):
        quantiles = np.quantile(found, (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98))
        print(f"{name:8} {len(found):5}  " + " ".join(f"{level:7.1f}" for level in quantiles))
    border, slope = fit(np.array(playing), np.array(absent))
    print(f"logistic fit: border {border:.1f} dB, slope {slope:.1f} dB")
    print(f"{KEPT:.0%} of the stems that play lie above {np.quantile(playing, 1 - KEPT):.1f} dB")
    print(f"area under the curve: {np.mean(np.array(playing)[:, None] > np.array(absent)):.3f}")


def levels_db(engine: MaskEngine, mix: Audio) -> dict[str, float]:
    """Level in dB of each of the twelve stems relative to a mix ``(2, samples)`` at 44.1 kHz, at its maximum."""
    return scan_presence(ArraySource(mix, engine.sample_rate), engine, is_cancelled=lambda: False).levels_db


def fit(playing: NDArray[np.float64], absent: NDArray[np.float64]) -> tuple[float, float]:
    """Threshold and slope in dB of the logistic curve with the least cross-entropy, both classes weighted equally."""
    borders, slopes = np.meshgrid(np.arange(-60, 0, 0.5), np.arange(0.5, 12, 0.5))

    def cost(levels: NDArray[np.float64], sign: float) -> NDArray[np.float64]:
        odds = sign * (levels[:, None, None] - borders) / slopes
        return np.asarray(np.logaddexp(0, -odds).mean(axis=0))

    best = np.argmin(cost(playing, 1) + cost(absent, -1))
    return float(borders.flat[best]), float(slopes.flat[best])


def _read(path: Path) -> Audio:
    samples: Audio = soundfile.read(path, dtype="float32", always_2d=True)[0]
    return samples.T  # (2, samples)


if __name__ == "__main__":
    main()
