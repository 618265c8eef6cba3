from __future__ import annotations

import ctypes.util
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.data import tracker_modules
from training.data.songs import Corpus, possible_stems

pytestmark = pytest.mark.training

ROWS, DRUM, BASS, LEAD = 64, 1, 2, 3
SONG = "usr/share/games/tuba/sea.xm"


def xm(*, orders: int = 1) -> bytes:
    """A module of two channels and three instruments: a drum on every eighth row, a bass and a lead by turns."""
    song = struct.pack("<IHHHHHHHH256s", 276, orders, 0, 2, 1, 3, 1, 6, 125, bytes(256))
    notes = [(0, 0)] * (2 * ROWS)
    for row in range(0, ROWS, 8):
        notes[2 * row] = (49, DRUM)
        notes[2 * row + 1] = (37, BASS) if row % 16 else (61, LEAD)
    packed = b"".join(struct.pack("BBBBB", note, instrument, 0, 0, 0) for note, instrument in notes)
    pattern = struct.pack("<IBHH", 9, 0, ROWS, len(packed)) + packed
    noise = np.random.default_rng(1).integers(-100, 100, 2000).astype(np.int8)
    tones = [(90 * np.sin(2 * np.pi * np.arange(8000) * hz / 8363)).astype(np.int8) for hz in (110, 440)]
    instruments = b"".join(instrument(wave) for wave in (noise, *tones))
    head = b"Extended Module: " + b"sea".ljust(20) + b"\x1a" + b"test".ljust(20) + struct.pack("<H", 0x0104)
    return head + song + pattern + instruments


def instrument(wave: np.ndarray) -> bytes:
    head = struct.pack("<I22sBH", 263, b"", 0, 1) + struct.pack("<I", 40) + bytes(96 + 48 + 48 + 14 + 2 + 22)
    sample = struct.pack("<IIIBbBBbB22s", len(wave), 0, 0, 64, 0, 0, 128, 0, 0, b"")
    return head + sample + np.diff(wave, prepend=np.int8(0)).astype(np.int8).tobytes()


@pytest.fixture(scope="module")
def player() -> tracker_modules.ModulePlayer:
    try:
        return tracker_modules.ModulePlayer()
    except OSError as error:
        pytest.skip(str(error))


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package with one long module, and a table that knows it."""
    root = tmp_path / "root"
    (root / SONG).parent.mkdir(parents=True)
    (root / SONG).write_bytes(xm(orders=6))
    table = tmp_path / "modules.toml"
    table.write_text(
        f"""
        [[package]]
        name = "tuba"
        licence = "MIT"
        path = "{Path(SONG).parent}"
        [package.songs]
        sea = {{ drums = [0], bass = [1], rest = [2] }}
        [[package]]
        name = "gnu"
        licence = "GPL-2+"
        path = "usr"
        [package.songs]
        gone = {{ rest = [0] }}
        """
    )
    monkeypatch.setattr(tracker_modules, "TABLE", table)
    return root


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["modules", *arguments])
    tracker_modules.main()


def test_instruments_played_alone_add_up_to_the_song(player: tracker_modules.ModulePlayer) -> None:
    content = xm()
    whole = player.play(content)
    alone = [player.play(content, [number]) for number in range(3)]
    seconds = whole.shape[1] / 44_100
    assert seconds == pytest.approx(ROWS * 6 * 2.5 / 125, abs=0.2)  # speed 6, tempo 125
    assert all(np.abs(part).max() > 0.05 for part in alone)
    assert np.abs(sum(alone) - whole).max() < 1e-4


def test_a_bass_played_alone_has_its_pitch_and_no_drum(player: tracker_modules.ModulePlayer) -> None:
    bass = player.play(xm(), [BASS - 1])[0]
    spectrum = np.abs(np.fft.rfft(bass))
    assert np.argmax(spectrum) / len(bass) * 44_100 == pytest.approx(55, abs=2)  # 110 Hz at C-4, an octave down
    assert np.square(spectrum[len(spectrum) // 4 :]).sum() < 1e-3 * np.square(spectrum).sum()


def test_what_is_no_module_or_no_instrument_is_refused(player: tracker_modules.ModulePlayer) -> None:
    with pytest.raises(ValueError, match="not a tracker module"):
        player.play(b"RIFF" + bytes(100))
    with pytest.raises(ValueError, match="has 3 instruments, from 0, and no 3"):
        player.play(xm(), [2, 3])


def test_modules_are_cut_into_songs_to_train_on(
    root: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    player: tracker_modules.ModulePlayer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "out"
    run(monkeypatch, "--root", str(root), "--out", str(out))
    assert capsys.readouterr().out == "tuba sea: 2 pieces\n"
    first, second = Corpus(out).songs()
    rest = "not-vocals-backing_vocals-drums-bass-percussion"
    assert list(first.stems) == ["drums", "bass", rest]
    assert set(possible_stems(rest)) == {"guitar", "keyboard", "strings", "brass", "woodwinds", "synth", "fx"}
    assert soundfile.info(first.stems["bass"]).frames == 30 * 44_100
    assert 10 <= soundfile.info(second.stems["bass"]).duration < 30
    kept = first.stems["bass"].stat().st_mtime_ns
    run(monkeypatch, "--root", str(root), "--out", str(out))
    assert first.stems["bass"].stat().st_mtime_ns == kept  # what is there stays


def test_packages_are_named_and_asked_for(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "--packages")
    assert capsys.readouterr().out == "gnu\ntuba\n"
    run(monkeypatch, "--packages", "--permissive")
    assert capsys.readouterr().out == "tuba\n"
    with pytest.raises(SystemExit, match="1"):
        run(monkeypatch, "--root", str(tmp_path / "not_found_message"))
    assert "apt-get install gnu tuba" in capsys.readouterr().err


def test_without_the_library_it_says_what_to_install(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(ctypes.util, "find_library", lambda name: None)
    with pytest.raises(SystemExit, match="1"):
        run(monkeypatch, "--root", str(root))
    assert "apt-get install libopenmpt0" in capsys.readouterr().err


@pytest.mark.parametrize("parts", ["drums = [0], bass = [0]", "kick = [0]"])
def test_a_wrong_table_is_refused(root: Path, parts: str) -> None:
    tracker_modules.TABLE.write_text(tracker_modules.TABLE.read_text().replace("drums = [0], bass = [1]", parts))
    with pytest.raises(ValueError, match="a part that is not a stem, or an instrument twice"):
        tracker_modules.modules()


def test_the_table_names_no_instrument_twice_and_only_what_anybody_may_use() -> None:
    table = tracker_modules.modules()
    assert len(table) == 14
    assert tracker_modules.modules(permissive=True) == table
