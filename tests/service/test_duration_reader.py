"""The length of a song from its headers, read in a process that may die of it."""

from __future__ import annotations

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

from stemwright.service.duration_reader import DurationReader
from tests.waiting import wait_until

RATE = 8000


def script(text: str) -> tuple[str, str, str]:
    return sys.executable, "-c", text


@pytest.fixture(scope="module")
def reader() -> Iterator[DurationReader]:
    reader = DurationReader(timeout_s=240)
    yield reader
    reader.close()


@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG", "AIFF", "MP3"])
def test_songs(reader: DurationReader, tmp_path: Path, form: str) -> None:
    soundfile.write(tmp_path / "song", np.zeros((3 * RATE, 2)), RATE, format=form)
    assert reader.seconds(tmp_path / "song") == pytest.approx(3, abs=0.1)


def test_what_is_no_song(reader: DurationReader, tmp_path: Path) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    (tmp_path / "nothing").touch()
    for name in ("page", "nothing", "gone"):
        assert reader.seconds(tmp_path / name) is None


def test_a_process_that_dies_is_started_anew(reader: DurationReader, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song", np.zeros(RATE), RATE, format="WAV")
    assert reader.seconds(tmp_path / "song") == 1
    assert reader._process is not None
    pid = reader._process.pid
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not psutil.pid_exists(pid))  # it does not stay as a zombie
    assert reader.seconds(tmp_path / "song") == 1


def test_a_process_that_ends_because_nothing_is_asked_is_started_anew(reader: DurationReader, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song", np.zeros(RATE), RATE, format="WAV")
    assert reader.seconds(tmp_path / "song") == 1
    assert reader._process is not None
    pid = reader._process.pid
    wait_until(lambda: not psutil.pid_exists(pid))
    assert reader.seconds(tmp_path / "song") == 1


def test_a_process_that_ends_just_as_it_is_asked(tmp_path: Path) -> None:
    flag = tmp_path / "second"
    text = (
        f"import os, sys; sys.stdin.readline(); os.path.exists({str(flag)!r}) and print(7, flush=True);"
        f"open({str(flag)!r}, 'w')"
    )
    reader = DurationReader(script(text), timeout_s=240)
    assert reader.seconds(tmp_path / "song") == 7
    reader.close()


def test_a_file_that_kills_the_process_is_of_unknown_length(tmp_path: Path) -> None:
    reader = DurationReader(script("import os, sys; sys.stdin.readline(); os.abort()"), timeout_s=240)
    assert reader.seconds(tmp_path / "song") is None
    reader.close()


def test_a_process_that_hangs_is_killed_and_the_upload_goes_on(tmp_path: Path) -> None:
    reader = DurationReader(script("import signal; signal.pause()"), timeout_s=0.3)
    found: list[float | None] = []
    waiting = [threading.Thread(target=lambda: found.append(reader.seconds(tmp_path / "song"))) for _ in range(3)]
    for thread in waiting:
        thread.start()
    for thread in waiting:
        thread.join(60)
    assert found == [None] * 3
    reader.close()
    assert reader._process is None


def test_a_command_that_cannot_be_started(tmp_path: Path) -> None:
    assert DurationReader([str(tmp_path / "gone")]).seconds(tmp_path / "song") is None


def test_nothing_is_left_when_it_is_closed(tmp_path: Path) -> None:
    reader = DurationReader(timeout_s=240)
    reader.close()  # nothing was started
    soundfile.write(tmp_path / "song", np.zeros(RATE), RATE, format="WAV")
    reader.seconds(tmp_path / "song")
    assert reader._process is not None
    pid = reader._process.pid
    reader.close()
    assert not psutil.pid_exists(pid)


def test_the_process_has_limits(reader: DurationReader, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "song", np.zeros(RATE), RATE, format="WAV")
    reader.seconds(tmp_path / "song")
    assert reader._process is not None
    process = psutil.Process(reader._process.pid)
    if not hasattr(process, "rlimit"):
        pytest.skip("no limits of processes can be read on this system")
    assert process.rlimit(psutil.RLIMIT_AS)[1] == 4_000_000_000
    assert 20 <= process.rlimit(psutil.RLIMIT_CPU)[0] < 100
