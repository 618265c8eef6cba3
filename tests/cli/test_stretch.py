from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.cli.conftest import one_error, run, write_song


@pytest.fixture(autouse=True)
def stems() -> None:
    for stem in ("drums", "bass"):
        write_song(f"song/{stem}.wav", seconds=1)


def test_stems_become_longer_together() -> None:
    assert run("stretch", "song", "--speed", "0.8").out == "song 0.8x\n"
    before = soundfile.info("song/drums.wav")
    for stem in ("drums", "bass"):
        after = soundfile.info(f"song 0.8x/{stem}.wav")
        assert (after.frames, after.samplerate) == (round(before.frames / 0.8), before.samplerate)
        assert after.subtype == "FLOAT" and np.abs(soundfile.read(f"song 0.8x/{stem}.wav")[0]).max() > 0.01


def test_another_key_keeps_the_length() -> None:
    assert run("stretch", "song", "--semitones", "-2", "--out", "lower").code == 0
    assert soundfile.info("lower/bass.wav").frames == soundfile.info("song/bass.wav").frames
    assert run("stretch", "song", "--speed", "1.5", "--semitones", "3").out == "song 1.5x +3\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["Nothing would change"]),
        (["--speed", "0.8", "--out", "song"], ["another --out"]),
        (["--speed", "0.2"], ["--speed"]),
        (["--semitones", "13"], ["--semitones"]),
    ],
)
def test_what_has_no_meaning(options: list[str], words: list[str]) -> None:
    done = run("stretch", "song", *options)
    assert done.code == 2 and all(word in done.err for word in words)


def test_stems_of_two_rates_and_no_stems() -> None:
    soundfile.write("song/other.wav", np.zeros(4000), 8000)
    done = run("stretch", "song", "--speed", "0.8")
    assert done.code == 2
    one_error(done, words=["8000", "one song"])
    Path("empty").mkdir()
    for folder, said in (("missing", "is not a folder"), ("empty", "no audio files")):
        done = run("stretch", folder, "--speed", "0.8")
        assert done.code == 3
        one_error(done, words=[folder, said])
