"""Peaks and segments from processes that may die of a file."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from stemwright.audio.peaks import read_peaks
from stemwright.service.errors import NotFound, PreviewUnavailable
from stemwright.service.preview_reader import PreviewReader
from tests.waiting import wait_until

RATE = 8000


@pytest.fixture(scope="module")
def reader() -> Iterator[PreviewReader]:
    reader = PreviewReader(n_processes=1)
    yield reader
    reader.close()


@pytest.fixture
def song(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (7 * RATE, 2))
    soundfile.write(tmp_path / "song", samples, RATE, format="WAV", subtype="PCM_16")
    return tmp_path / "song"


def test_peaks_and_segments(reader: PreviewReader, song: Path) -> None:
    rate, samples, levels = read_peaks(reader.peaks(song))
    assert (rate, samples) == (RATE, 7 * RATE)
    assert 60 <= levels[0].max() <= 64
    second = reader.segment(song, 1, seekable=True)
    assert second.media_type == "audio/flac"
    got, _ = soundfile.read(io.BytesIO(second.content))
    np.testing.assert_array_equal(got, soundfile.read(song)[0][5 * RATE :])
    with pytest.raises(NotFound):
        reader.segment(song, 2, seekable=True)


def test_what_is_no_song_is_said_and_the_process_lives(reader: PreviewReader, song: Path, tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    for name in ("page", "gone"):
        with pytest.raises(PreviewUnavailable, match="cannot be read"):
            reader.peaks(tmp_path / name)
        with pytest.raises(PreviewUnavailable, match="cannot be read"):
            reader.segment(tmp_path / name, 0, seekable=False)
    process = reader._processes[0]._process
    assert process is not None and process.poll() is None


def test_it_can_be_started_before_it_is_asked(song: Path) -> None:
    reader = PreviewReader(n_processes=1)
    reader.start()
    process = reader._processes[0]._process
    assert process is not None and process.poll() is None
    assert reader.segment(song, 0, seekable=True)
    reader.start()
    assert reader._processes[0]._process is process
    reader.close()


def test_segments_do_not_wait_for_what_takes_long(reader: PreviewReader, song: Path, tmp_path: Path) -> None:
    reader.peaks(song)
    slow = reader._slow_process._process
    assert slow is not None
    os.kill(slow.pid, signal.SIGSTOP)
    drawing = threading.Thread(target=reader.spectrogram, args=(song, tmp_path / "tiles"))
    drawing.start()
    assert reader.segment(song, 0, seekable=True).content and not (tmp_path / "tiles").exists()
    os.kill(slow.pid, signal.SIGCONT)
    drawing.join()
    assert (tmp_path / "tiles").stat().st_size > 1000


def test_a_process_that_dies_is_started_anew(reader: PreviewReader, song: Path) -> None:
    reader.segment(song, 0, seekable=True)
    process = reader._processes[0]._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(process.pid))
    assert reader.segment(song, 0, seekable=True)


@pytest.mark.parametrize("code", ["import sys; sys.stdin.readline(); sys.exit(1)", "import signal; signal.pause()"])
def test_a_process_that_dies_of_a_file_or_hangs_is_said(song: Path, code: str) -> None:
    reader = PreviewReader((sys.executable, "-c", code), timeout_s=1.0, n_processes=1)
    with pytest.raises(PreviewUnavailable, match="in time"):
        reader.peaks(song)
    reader.close()
