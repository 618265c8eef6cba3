"""Solos of recorded instruments, to measure recognition with."""

import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.instruments import library
from training.instruments.library import Instrument
from training.rendering import solos

pytestmark = pytest.mark.training


def test_every_instrument_belongs_to_a_stem() -> None:
    stems = {
        instrument.name: solos.stem_of(instrument)
        for held_out in (False, True)
        for instrument in library.instruments(held_out)
        if instrument.family != "wavetable"
    }
    assert stems["iowa-oboe"] == "woodwinds" and stems["gogodze-kit"] == "drums"
    assert stems["darbuka-castanets"] == "percussion" and stems["harp"] == "strings"


def test_solos_are_parts_of_songs_on_one_instrument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rate = 44_100
    folder = tmp_path / "horn"
    folder.mkdir()
    time = np.arange(2 * rate) / rate
    for name, midi in (("C2", 36), ("C3", 48), ("C4", 60), ("C5", 72)):
        soundfile.write(folder / f"{name}.wav", 0.3 * np.sin(2 * np.pi * 440 * 2 ** ((midi - 69) / 12) * time), rate)
    horn = Instrument("horn", str(folder), "brass", r"^(?P<note>C\d)\.wav$", held_out=True)
    monkeypatch.setattr(library, "instruments", lambda held_out=False: (horn,) if held_out else ())
    monkeypatch.setattr(sys, "argv", ["solos", str(tmp_path / "out"), "--count", "2"])
    solos.main()
    files = sorted((tmp_path / "out").glob("*/*.flac"))
    assert [str(file.relative_to(tmp_path / "out")) for file in files] == ["horn-0/brass.flac", "horn-1/brass.flac"]
    for file in files:
        audio, _ = soundfile.read(file)
        assert audio.shape == (round(solos.DURATION_S * rate), 2)
        assert np.abs(audio).max() == pytest.approx(solos.PEAK, abs=0.01)
