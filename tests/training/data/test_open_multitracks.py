"""Songs that are published as separate tracks, against a server on this machine."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.stems import STEMS
from tests.http_stub import HttpStub, StubHandler
from tests.training.instruments.test_download import COMMIT, packed
from training.data import open_multitracks
from training.data.open_multitracks import OpenRepository, OpenSong, fetch, label_of, repositories
from training.data.songs import possible_stems
from training.github_archive import SourceError, blob_id, digest

pytestmark = pytest.mark.training

RATE = 48_000


def tone(hz: float, seconds: float, level: float = 0.2) -> bytes:
    """A WAV of one channel at 48 kHz."""
    file = io.BytesIO()
    wave = level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)
    soundfile.write(file, wave.astype(np.float32), RATE, format="WAV", subtype="PCM_16")
    return file.getvalue()


TRACKS = {
    "song/Kick.wav": tone(60, 40),
    "song/Snare & hat.wav": tone(400, 32),
    "song/Pad + bass.wav": tone(150, 40),
    "song/Silent.wav": tone(100, 40, level=0),
    "song/What is it.wav": tone(900, 40),
}
SONG = OpenSong(
    "a-song",
    "song",
    {"drums": ("Kick.wav", "Snare & hat.wav"), "bass|synth": ("Pad + bass.wav",), "guitar": ("Silent.wav",)},
)
USED = {path: blob_id(TRACKS[path]) for paths in SONG.paths().values() for path in paths}
SOURCE = OpenRepository("o/songs", COMMIT, "CC0-1.0", "Somebody", digest(USED), (SONG,))


class Server(HttpStub):
    """Serves one archive."""

    def __init__(self, tracks: dict[str, bytes]) -> None:
        super().__init__(Handler)
        self.body = packed(tracks)
        self.asked: list[str] = []


class Handler(StubHandler):
    server: Server

    def answer(self) -> None:
        self.server.asked.append(self.path)
        found = self.path == f"/o/songs/tar.gz/{COMMIT}"
        self.reply(200 if found else 404, self.server.body if found else b"")


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(TRACKS) as server:
        yield server


def test_a_song_becomes_pieces_with_the_sum_of_the_tracks_of_each_stem(server: Server, tmp_path: Path) -> None:
    assert fetch(SOURCE, tmp_path, server.url) == {"a-song": 2}
    label = label_of("bass|synth")
    assert possible_stems(label) == ("bass", "synth")
    pieces = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.flac"))
    assert pieces == [f"a-song-0{number}/{name}.flac" for number in (0, 1) for name in ("drums", label)]
    drums, rate = soundfile.read(tmp_path / "a-song-00" / "drums.flac")
    assert (rate, drums.shape) == (44_100, (30 * 44_100, 2))
    spectrum = np.abs(np.fft.rfft(drums[:44_100, 0]))
    assert set(np.argsort(spectrum)[-2:]) == {60, 400}
    last, _ = soundfile.read(tmp_path / "a-song-01" / "drums.flac")
    assert len(last) == 10 * 44_100
    assert np.abs(np.fft.rfft(last[3 * 44_100 : 4 * 44_100, 0]))[400] < 1, "the snare has ended"


def test_what_is_there_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    fetch(SOURCE, tmp_path, server.url)
    assert fetch(SOURCE, tmp_path, server.url) is None
    assert len(server.asked) == 1


@pytest.mark.parametrize("change", ["another track", "one less"])
def test_other_files_than_the_table_names_leave_nothing(tmp_path: Path, change: str) -> None:
    tracks = dict(TRACKS)
    if change == "one less":
        del tracks["song/Kick.wav"]
    else:
        tracks["song/Kick.wav"] = tone(61, 40)
    with (
        Server(tracks) as server,
        pytest.raises(SourceError, match=f"archive of o/songs at {COMMIT} holds other tracks"),
    ):
        fetch(SOURCE, tmp_path, server.url)
    assert [path.name for path in tmp_path.iterdir()] == []


def test_a_track_that_is_no_sound_is_told(tmp_path: Path) -> None:
    tracks = TRACKS | {"song/Kick.wav": b"RIFF"}
    source = replace(SOURCE, digest=digest({path: blob_id(tracks[path]) for path in USED}))
    with Server(tracks) as server, pytest.raises(SourceError, match="a track cannot be read"):
        fetch(source, tmp_path, server.url)
    assert not list(tmp_path.rglob("*.flac"))


def test_the_command_says_what_it_leaves_out(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = replace(SOURCE, repository="o/gone")
    monkeypatch.setattr(open_multitracks, "repositories", lambda: (gone, SOURCE))
    monkeypatch.setenv("STEMWRIGHT_SAMPLES_MIRROR", server.url)
    monkeypatch.setattr("sys.argv", ["open_multitracks", str(tmp_path)])
    open_multitracks.main()
    said = capsys.readouterr()
    assert said.out == "a-song: 2 pieces\n"
    assert said.err.startswith("left out: o/gone, since ") and "404" in said.err


def test_the_table_names_each_song_once_and_only_permissive_licences() -> None:
    table = repositories()
    names = [song.name for source in table for song in source.songs]
    assert len(set(names)) == len(names) >= 7
    for source in table:
        assert len(source.commit) == 40 and len(source.digest) == 64 and source.author
        for song in source.songs:
            assert {stem for label in song.paths() for stem in possible_stems(label)} <= set(STEMS)


def test_a_track_by_itself_is_a_song(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "table.toml"
    table.write_text(
        f'[[repository]]\nname = "o/Some_Loops"\ncommit = "{COMMIT}"\nlicence = "MIT"\nauthor = "A"\ndigest = "d"\n'
        '[repository.solos]\ndrums = ["examples/120 bpm.wav"]\n'
    )
    monkeypatch.setattr(open_multitracks, "TABLE", table)
    ((solo,),) = [source.songs for source in repositories()]
    assert solo.name == "some-loops-120-bpm"
    assert solo.paths() == {"drums": ("examples/120 bpm.wav",)}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [('"CC0-1.0"', '"CC-BY-SA-4.0"', "asks for more than a credit"), ("drums = [", "drum = [", "not of stems")],
)
def test_a_table_with_a_mistake_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    wrong = tmp_path / "table.toml"
    wrong.write_text(open_multitracks.TABLE.read_text().replace(old, new))
    monkeypatch.setattr(open_multitracks, "TABLE", wrong)
    with pytest.raises(ValueError, match=said):
        repositories()
