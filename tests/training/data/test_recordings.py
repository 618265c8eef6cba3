import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from training.data import recordings
from training.data.songs import Corpus, SongCache, possible_stems

pytestmark = pytest.mark.training

BAND = "not-vocals-backing_vocals"


def write(path: Path, seconds: float, *, rate: int = 44_100, level: float = 0.2) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(int(seconds * rate)) / rate
    tone = level * np.sin(2 * np.pi * (200 + 20 * time) * time)
    with soundfile.SoundFile(path, "w", rate, 1, format="OGG", subtype="VORBIS") as file:
        for start in range(0, len(tone), rate):  # libsndfile runs out of stack where much is written at once
            file.write(tone[start : start + rate])


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three packages as they are installed: files, files with another track beside them, and an archive."""
    root = tmp_path / "root"
    write(root / "usr/share/games/tuba/music/Sea (calm).ogg", 100)
    write(root / "usr/share/games/tuba/music/a sung one.ogg", 40)
    write(root / "usr/share/games/tuba/music/jingle.ogg", 4)
    write(root / "usr/share/frets/chaos/guitar.ogg", 12, rate=22_050)
    write(root / "usr/share/frets/chaos/song.ogg", 12, rate=22_050)
    write(root / "wind.ogg", 11)
    with zipfile.ZipFile(root / "data.pk3", "w") as archive:
        archive.write(root / "wind.ogg", "ambient/day/wind.ogg")
        archive.write(root / "wind.ogg", "voices/wind.ogg")
    return root


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "recordings.toml"
    path.write_text(
        f"""
        [[source]]
        package = "tuba"
        licence = "CC0-1.0"
        path = "usr/share/games/tuba/music/*.ogg"
        label = "{BAND}"
        leave_out = ["sung"]
        [[source]]
        package = "frets"
        licence = "MIT"
        path = "usr/share/frets/*/guitar.ogg"
        label = "guitar"
        companion = {{ file = "song.ogg", label = "not-guitar" }}
        [[source]]
        package = "winds"
        licence = "GPL-2+"
        path = "*.pk3"
        inside = "ambient/*.ogg"
        label = "fx"
        """
    )
    monkeypatch.setattr(recordings, "TABLE", path)
    return path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["recordings", *map(str, arguments)])
    recordings.main()


@pytest.mark.usefixtures("table")
def test_what_is_there_is_cut(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    run(monkeypatch, "--root", root, "--out", out, "--most", 2)
    files = {str(path.relative_to(out)): soundfile.info(path) for path in sorted(out.rglob("*.flac"))}
    assert {name: round(info.duration) for name, info in files.items()} == {
        f"tuba-sea-calm-00/{BAND}.flac": 30,
        f"tuba-sea-calm-01/{BAND}.flac": 30,
        "frets-chaos-guitar-00/guitar.flac": 12,
        "frets-chaos-guitar-00/not-guitar.flac": 12,
        "winds-day-wind-00/fx.flac": 11,
    }
    assert {(info.samplerate, info.channels) for info in files.values()} == {(44_100, 2)}
    song_cache = SongCache([Corpus(out)], 10**9)
    song_cache.refresh()
    labels = {label for song in (song_cache.training | song_cache.held_out).values() for label in song}
    assert labels == {BAND, "guitar", "not-guitar", "fx"}
    # The first piece is the middle of the first half: the tone rises by 40 Hz a second.
    audio, _ = soundfile.read(out / "tuba-sea-calm-00" / f"{BAND}.flac")
    spectrum = np.abs(np.fft.rfft(audio[:4410, 0]))
    assert float(np.argmax(spectrum)) * 10 == pytest.approx(200 + 40 * 10, abs=15)
    before = (out / "winds-day-wind-00" / "fx.flac").stat().st_mtime_ns
    run(monkeypatch, "--root", root, "--out", out, "--most", 2)
    assert (out / "winds-day-wind-00" / "fx.flac").stat().st_mtime_ns == before


@pytest.mark.usefixtures("table")
def test_without_packages_they_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run(monkeypatch, "--root", tmp_path, "--out", tmp_path / "out")
    assert "apt-get install frets tuba winds" in capsys.readouterr().err


def test_only_what_asks_for_no_more_than_a_name_is_taken_where_that_is_wanted(
    root: Path, table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """And a file belongs to the first source that names it."""
    first = """
        [[source]]
        package = "tuba"
        licence = "CC-BY-3.0"
        path = "usr/share/games/tuba/music/*.ogg"
        label = "not-vocals"
        only = ["Sea (calm)"]
        """
    table.write_text(first + table.read_text().replace("CC0-1.0", "CC-BY-SA-3.0"))
    labels = {track.name: track.source.label for track in recordings.find(root)}
    assert labels == {
        "tuba-sea-calm": "not-vocals",
        "tuba-jingle": BAND,
        "frets-chaos-guitar": "guitar",
        "winds-day-wind": "fx",
    }
    run(monkeypatch, "--root", root, "--out", tmp_path / "out", "--most", 1, "--permissive")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["frets-chaos-guitar-00", "tuba-sea-calm-00"]
    capsys.readouterr()
    run(monkeypatch, "--packages", "--permissive")
    assert capsys.readouterr().out.split() == ["frets", "tuba"]


def test_a_label_that_is_none_is_refused(table: Path) -> None:
    table.write_text(table.read_text().replace('"fx"', '"wind"'))
    with pytest.raises(ValueError, match="wind of winds"):
        recordings.sources()


def test_the_table_names_packages_licences_and_labels() -> None:
    found = recordings.sources()
    permissive = recordings.sources(permissive=True)
    assert len(found) > len(permissive) > 10
    assert not any(word in source.licence for source in permissive for word in ("GPL", "SA", "NC"))
    assert all(possible_stems(source.label) and source.licence and not source.path.startswith("/") for source in found)
