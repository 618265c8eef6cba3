import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import COMMAND, files_below, run, write_song

SECONDS = 45  # a few chunks of the network


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "separate", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for(process: subprocess.Popen[str], word: str) -> str:
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line
        if word in line:
            return said
    raise AssertionError(said)


@pytest.mark.parametrize("number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.long)])
def test_a_signal_ends_at_the_next_chunk_and_resume_gives_the_same_bytes(number: signal.Signals) -> None:
    write_song("song.wav", SECONDS, rate_hz=22_050, channels=1)
    process = start("song.wav", "other.wav", "--json")
    said = wait_for(process, "separating")
    process.send_signal(number)
    out, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert "--resume" in err and "Traceback" not in said + err
    assert '"exit_code": 130' in out and "other.wav" not in out
    assert not Path("stems/song").exists()
    assert files_below("stems/.song.stemwright")

    resumed = run("separate", "song.wav", "--resume", "--json")
    assert resumed.code == 0
    assert run("separate", "song.wav", "--out", "anew", "--json").code == 0
    for name in ("vocals.wav", "instrumental.wav"):
        assert Path("stems/song", name).read_bytes() == Path("anew/song", name).read_bytes()
    assert not Path("stems/.song.stemwright").exists()


def test_a_second_signal_ends_at_once() -> None:
    write_song("song.wav", SECONDS, rate_hz=22_050, channels=1)
    process = start("song.wav")
    wait_for(process, "separating")
    process.send_signal(signal.SIGINT)
    wait_for(process, "Press again to stop at once")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert not Path("stems/song").exists()


def test_a_second_signal_while_the_interpreter_shuts_down_ends_it_without_a_word() -> None:
    script = """
import atexit, os, signal
from stemwright.cli.interrupt import InterruptHandler
atexit.register(print, "not reached")
atexit.register(os.kill, os.getpid(), signal.SIGINT)
with InterruptHandler(quiet=True) as interrupt, interrupt.deferred():
    os.kill(os.getpid(), signal.SIGINT)
    assert interrupt.is_set()
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "")


def test_a_signal_while_standard_input_is_read_leaves_no_temporary_file(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [*COMMAND, "separate", "-"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin is not None and process.stderr is not None
    assert b"started" in process.stderr.readline()
    process.stdin.write(os.urandom(1 << 21))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=240)
    assert process.returncode == 130, err
    assert b"Traceback" not in err
    assert files_below(tmp_path / "cache") == []
