"""Memory is set by the chunk, not by the song: a long song takes what a short one takes, and 10 % at most."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.separate import write_song


def peak_mb(song: Path, out: Path) -> float:
    command = [sys.executable, "-m", "stemwright", "separate", str(song), "--stems", "twelve", "--out", str(out)]
    done = subprocess.run([*command, "--json", "--quiet"], check=True, capture_output=True)
    peak: float = json.loads(done.stdout)["peak_rss_mb"]
    return peak


@pytest.fixture(scope="module")
def one_minute_mb(tmp_path_factory: pytest.TempPathFactory) -> float:
    folder = tmp_path_factory.mktemp("short")
    write_song(folder / "song.wav", 1)
    return peak_mb(folder / "song.wav", folder / "out")


@pytest.mark.parametrize("minutes", [3, *(pytest.param(minutes, marks=pytest.mark.long) for minutes in (20, 60))])
def test_a_long_song_takes_the_memory_of_a_short_one(tmp_path: Path, one_minute_mb: float, minutes: int) -> None:
    write_song(tmp_path / "song.wav", minutes)
    assert one_minute_mb < 700
    assert peak_mb(tmp_path / "song.wav", tmp_path / "out") <= 1.1 * one_minute_mb
