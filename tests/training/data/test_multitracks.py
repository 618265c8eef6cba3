import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.data import multitracks
from training.data.songs import Corpus, SongCache

pytestmark = pytest.mark.training

RATE = 44_100


def write(path: Path, seconds: float, *, level: float = 0.2, rate: int = RATE, channels: int = 2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = level * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate)) / rate)
    soundfile.write(path, np.stack([tone] * channels, 1), rate, subtype="FLOAT")


def write_musdb(folder: Path, seconds: float, silent: str = "") -> None:
    for name in ("mixture", "vocals", "drums", "bass", "other"):
        write(folder / f"{name}.wav", seconds, level=0.0 if name == silent else 0.2)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["multitracks", *map(str, arguments)])
    multitracks.main()


def test_musdb_trains_with_its_training_songs_and_what_the_twelve_stems_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_musdb(tmp_path / "data" / "train" / "A - Song & Dance", 67, silent="drums")
    write_musdb(tmp_path / "data" / "test" / "Kept apart", 10)
    run(monkeypatch, tmp_path / "data", "--out", tmp_path / "cut")
    corpus = tmp_path / "cut"
    assert sorted(path.name for path in corpus.iterdir()) == [f"A-Song-Dance-0{number}" for number in range(3)]
    for piece, seconds in zip(sorted(corpus.iterdir()), (30, 30, 7), strict=True):
        other = "not-vocals-backing_vocals-drums-bass"
        assert {path.stem for path in piece.iterdir()} == {"vocals", "bass", other}  # drums are silent
        assert soundfile.info(piece / "bass.flac").frames == seconds * RATE
    song_cache = SongCache([Corpus(corpus)], 10**9)
    song_cache.refresh()
    assert len(song_cache.training) + len(song_cache.held_out) == 3


def test_tracks_of_moisesdb_are_added_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song = tmp_path / "moisesdb_v0.1" / "one"
    tracks = [{"id": "a", "trackType": "grand piano"}, {"id": "b", "trackType": "electric piano"}]
    record = {"song": "s", "artist": "a", "stems": [{"stemName": "piano", "tracks": tracks}]}
    for track in ("a", "b"):
        write(song / "piano" / f"{track}.wav", 8, level=0.1)
    (song / "data.json").write_text(json.dumps(record))
    run(monkeypatch, tmp_path, "--out", tmp_path / "cut")
    (piece,) = (tmp_path / "cut").iterdir()
    audio, rate = soundfile.read(piece / "keyboard.flac")
    assert rate == RATE and np.abs(audio).max() == pytest.approx(0.2, abs=1e-3)


def test_other_rates_and_one_channel_become_a_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for stem in ("drums", "synth"):
        write(tmp_path / "data" / "song" / f"{stem}.wav", 9, rate=48_000, channels=1)
    run(monkeypatch, tmp_path / "data", "--out", tmp_path / "cut")
    info = soundfile.info(tmp_path / "cut" / "song-00" / "synth.flac")
    assert (info.samplerate, info.channels, info.frames) == (RATE, 2, 9 * RATE)


def test_stems_that_clip_alone_keep_their_balance(tmp_path: Path) -> None:
    write(tmp_path / "song" / "bass.wav", 8, level=1.6)
    write(tmp_path / "song" / "drums.wav", 8, level=0.4)
    (song,) = multitracks.songs(tmp_path, "songs")
    assert multitracks.cut(song, tmp_path / "cut") == 1
    bass, drums = (soundfile.read(tmp_path / "cut" / "song-00" / f"{stem}.flac")[0] for stem in ("bass", "drums"))
    assert np.abs(bass).max() == pytest.approx(1, abs=1e-3) and np.abs(drums).max() == pytest.approx(0.25, abs=1e-3)
    before = (tmp_path / "cut" / "song-00" / "bass.flac").stat().st_mtime_ns
    assert multitracks.cut(song, tmp_path / "cut") == 1  # what is there stays
    assert (tmp_path / "cut" / "song-00" / "bass.flac").stat().st_mtime_ns == before


def test_a_folder_without_usable_songs_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "not_found_message", "--out", tmp_path / "cut")
    assert "not_found_message" in capsys.readouterr().err
    write(tmp_path / "data" / "song" / "other.wav", 8)
    with pytest.raises(SystemExit):
        run(monkeypatch, tmp_path / "data", "--layout", "msst", "--out", tmp_path / "cut")
    assert "among the twelve" in capsys.readouterr().err
