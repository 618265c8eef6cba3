import os
import pty
import subprocess
from pathlib import Path

import pytest

from stemwright.cli.progress_display import NoProgress, ProgressLines, SpeedEstimate
from stemwright.separation.progress import Progress
from tests.cli.conftest import COMMAND, write_song


def steps(count: int, total_s: float | None = 60.0) -> list[Progress]:
    shares = [(index + 1) / count for index in range(count)]
    return [Progress("separating", 60 * share, total_s, share if total_s else None) for share in shares]


def test_a_long_song_says_about_ten_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLines() as lines:
        lines.start("song")
        for progress in steps(1000):
            lines.update(progress)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 11
    assert said[5] == "song:  50%, separating 0:30 of 1:00"


def test_a_stream_of_unknown_length_says_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLines() as lines:
        lines.start("song")
        for progress in steps(100, total_s=None):
            lines.update(progress)
    assert capsys.readouterr().err.splitlines() == ["song: started", "song: separating 0:30", "song: separating 1:00"]


def test_control_characters_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressLines() as lines:
        lines.start("a\x1b[2Jb\nc")
    assert capsys.readouterr().err == "a_[2Jb_c: started\n"


def test_quiet_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with NoProgress() as no_progress:
        no_progress.start("song")
        for progress in steps(10):
            no_progress.update(progress)
    assert capsys.readouterr() == ("", "")


def test_the_pace_counts_from_where_the_run_was_taken_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    speed_estimate = SpeedEstimate()
    speed_estimate.update(Progress("separating", 90.0, 100.0, 0.45))
    assert str(speed_estimate) == ""
    now[0] += 1.0
    speed_estimate.update(Progress("separating", 100.0, 100.0, 0.5))
    # a twentieth of all the work on 100 s of music in a second: 5 s a second, and half of the work is left
    assert str(speed_estimate) == "5.0 x real time, 0:10 left"


def test_a_terminal_gets_a_bar_and_standard_output_stays_json() -> None:
    write_song("song.wav", seconds=15)
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "separate", "song.wav", "--json"],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "COLUMNS": "120", "TERM": "xterm"},
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        os.close(ours)
        assert process.stdout is not None
        out = process.stdout.read()
    assert process.returncode == 0
    assert out.startswith(b'{"input": "song.wav"') and out.count(b"\n") == 1
    for word in (b"song", b"separating", b"writing", b"of 0:15", b"x real time", b"left"):
        assert word in shown
    assert Path("stems/song/vocals.wav").is_file()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # the other side was closed
        return b""
