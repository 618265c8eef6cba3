import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemwright.errors import UnreadableInputError
from stemwright.evaluation import moises_layout, msst_layout, musdb_layout
from stemwright.evaluation.evaluate import evaluate_estimates
from stemwright.evaluation.moises_layout import stem_of_track
from stemwright.evaluation.scores import score_song
from stemwright.stems import STEMS
from tests.evaluation.sounds import RATE_HZ, noise, write

FOUR = {name: noise(seed) for seed, name in enumerate(("vocals", "drums", "bass", "other"))}
MIXTURE = np.sum(list(FOUR.values()), axis=0)
SILENCE = np.zeros_like(noise(0))


def moises_song(folder: Path, tracks: dict[tuple[str, str], Any]) -> Path:
    """A song of MoisesDB: signals by stem and type of track."""
    stems: dict[str, list[dict[str, Any]]] = {}
    for number, ((stem, kind), signal) in enumerate(tracks.items()):
        write(folder / stem, {f"track{number}": signal})
        track = {"id": f"track{number}", "trackType": kind, "extension": "wav", "has_bleed": False}
        stems.setdefault(stem, []).append(track)
    metadata = {
        "song": "x",
        "stems": [{"stemName": name, "id": name, "tracks": list(of)} for name, of in stems.items()],
    }
    (folder / "data.json").write_text(json.dumps(metadata))
    return folder


def test_musdb_reads_the_test_songs(tmp_path: Path) -> None:
    for part in ("train", "test"):
        write(tmp_path / part / f"{part} song", FOUR | {"mixture": MIXTURE})
    (song,) = musdb_layout.find_songs(tmp_path)
    assert song.name == "test song" and song.mix == tmp_path / "test/test song/mixture.wav"
    assert tuple(song.stems) == ("vocals", "drums", "bass", "other")
    assert song.coarse["other"] == STEMS[4:]
    assert [found.name for found in musdb_layout.find_songs(tmp_path / "train")] == ["train song"]
    assert [found.name for found in musdb_layout.find_songs(tmp_path / "train/train song")] == ["train song"]


def test_musdb_compares_four_stems_with_sums_of_twelve(tmp_path: Path) -> None:
    (song,) = musdb_layout.find_songs(write(tmp_path / "song", FOUR | {"mixture": MIXTURE}))
    given = {name: FOUR.get(name, SILENCE) for name in STEMS}
    given |= {"vocals": FOUR["vocals"] - noise(9), "backing_vocals": noise(9)}
    given |= {"guitar": FOUR["other"] - noise(8), "fx": noise(8)}
    files = write(tmp_path / "given", given)
    scores = score_song(song, {name: files / f"{name}.wav" for name in STEMS}, metrics=("csdr",))
    rows = {score.name: score for score in scores.scores}
    assert list(rows) == ["vocals", "drums", "bass", "other", "instrumental"]
    assert all(score.sdr_db > 100 for score in rows.values())
    assert rows["vocals"].estimates == ("vocals", "backing_vocals")
    assert rows["other"].estimates == STEMS[4:]
    assert scores.absent == () and scores.mix_error_db is not None and scores.mix_error_db < -100
    assert all(score.metrics["csdr"] is not None and score.metrics["csdr"] > 100 for score in scores.scores)


def test_musdb_leaves_out_seconds_in_which_any_stem_is_silent(tmp_path: Path) -> None:
    quiet = FOUR["drums"].copy()
    quiet[:, :RATE_HZ] = 0
    true = FOUR | {"drums": quiet}
    given = {name: signal * np.float32(0.9) for name, signal in true.items()}
    given["bass"][:, :RATE_HZ] = true["bass"][:, :RATE_HZ] * np.float32(0.5)  # heard only where drums are silent
    write(tmp_path / "truth/song", true | {"mixture": np.sum(list(true.values()), axis=0)})
    write(tmp_path / "guess/song", given)
    rows = {}
    for layout in ("musdb", "msst"):
        report = evaluate_estimates(tmp_path / "truth", tmp_path / "guess", layout=layout, metrics=("csdr",))
        rows[layout] = {row.name: row.metrics["csdr"] for row in report.rows}
    assert rows["musdb"]["bass"] == pytest.approx(20.0, abs=1e-3)
    assert rows["msst"]["bass"] == pytest.approx((20.0 + 6.02) / 2, abs=1e-2)


@pytest.mark.parametrize("missing", ["mixture", "bass"])
def test_a_song_of_musdb_without_a_file_is_told(tmp_path: Path, missing: str) -> None:
    signals = FOUR | {"mixture": MIXTURE}
    del signals[missing]
    with pytest.raises(UnreadableInputError, match=f"has no {missing}.wav"):
        musdb_layout.find_songs(write(tmp_path / "song", signals))


def test_an_msst_folder_has_any_labels(tmp_path: Path) -> None:
    write(tmp_path / "a", {"mixture": noise(1), "lead-vocal": noise(2), "back-vocal": noise(3)})
    write(tmp_path / "b", {"vocals": noise(1), "instrumental": noise(2)})
    write(tmp_path / "c", {"vocals": noise(1), "instrumental": noise(2), "drums": noise(3), "other": noise(4)})
    songs = {song.name: song for song in msst_layout.find_songs(tmp_path)}
    assert tuple(songs["a"].stems) == ("vocals", "backing_vocals") and songs["a"].coarse == {}
    assert songs["b"].mix is None and songs["b"].coarse["instrumental"] == STEMS[2:]
    assert tuple(songs["c"].stems) == ("vocals", "drums", "other")


def test_a_mixture_that_holds_more_than_its_labels_is_told(tmp_path: Path) -> None:
    write(tmp_path / "truth/song", {"mixture": noise(1) + noise(2), "drums": noise(1)})
    write(tmp_path / "guess/song", {"drums": noise(1), "bass": noise(3)})
    report = evaluate_estimates(tmp_path / "truth", tmp_path / "guess", layout="msst")
    (song,) = report.songs
    assert report.mix_error_db is not None and report.mix_error_db > -10
    assert song.counts and not song.is_fully_labelled and song.absent == ()
    (drums,) = song.scores
    assert drums.sdr_db == 200.0
    assert drums.mix_db == pytest.approx(0.0, abs=0.1)
    # the ideal mask knows of what has no label too: two noises of one level, each with half of the other's
    assert 0.0 < drums.oracle_db < 10.0


def test_msst_needs_true_stems(tmp_path: Path) -> None:
    with pytest.raises(UnreadableInputError, match="contains no true stems"):
        msst_layout.find_songs(write(tmp_path / "song", {"mixture": noise(1)}))
    everything = {name: noise(1) for name in (*STEMS, "other")}
    with pytest.raises(UnreadableInputError, match="all twelve stems and one named other"):
        msst_layout.find_songs(write(tmp_path / "full", everything))


@pytest.mark.parametrize(
    "stem, kind, expected",
    [
        ("vocals", "lead female singer", "vocals"),
        ("vocals", "background vocals", "backing_vocals"),
        ("vocals", "human choir", "backing_vocals"),
        ("vocals", "other (vocoder, beatboxing etc)", "vocals"),
        ("bass", "bass synthesizer (moog etc)", "bass"),
        ("bass", "bassoon (bass of woodwind)", "woodwinds"),
        ("bass", "tuba (bass of brass)", "brass"),
        ("bass", "contrabass/double bass (bass of instrings)", "bass"),
        ("other_keys", "organ, electric organ", "keyboard"),
        ("other_keys", "synth_lead", "synth"),
        ("other keys", "synth pad", "synth"),
        ("wind", "brass (trumpet, trombone, french horn, brass etc)", "brass"),
        ("wind", "reeds (saxophone, clarinets, oboe, english horn, bagpipe)", "woodwinds"),
        ("percussion", "pitched percussion (mallets, glockenspiel, ...)", "percussion"),
        ("other_plucked", "banjo, mandolin, ukulele, harp etc", "guitar"),
        ("other", "fx/processed sound, scratches, gun shots, explosions etc", "fx"),
        ("theremin", "theremin", None),
    ],
)
def test_tracks_of_moisesdb_become_our_stems(stem: str, kind: str, expected: str | None) -> None:
    assert stem_of_track(stem, kind) == expected


def test_moisesdb_adds_tracks_up_and_fills_short_ones(tmp_path: Path) -> None:
    tracks = {
        ("drums", "kick drum"): noise(1),
        ("drums", "snare drum"): noise(2)[:, :-7],
        ("other_keys", "synth pad"): noise(3)[:, :-3],
        ("wind", "flutes (piccolo, bamboo flute, panpipes, flutes etc)"): noise(4),
    }
    moises_song(tmp_path / "moisesdb_v0.1/33b1d4e9", tracks)
    (song,) = moises_layout.find_songs(tmp_path)
    assert tuple(song.stems) == ("drums", "woodwinds", "synth") and song.name == "33b1d4e9"
    whole = np.concatenate(list(song.blocks()), axis=-1)
    drums = noise(1).copy()
    drums[:, :-7] += noise(2)[:, :-7]
    np.testing.assert_array_equal(whole[0], drums)
    np.testing.assert_array_equal(whole[2], np.pad(noise(3)[:, :-3], ((0, 0), (0, 3))))
    for named in ("moisesdb_v0.1", "moisesdb_v0.1/33b1d4e9"):
        assert moises_layout.find_songs(tmp_path / named)[0].stems == song.stems
    given = write(tmp_path / "given", {"drums": drums, "other": noise(3)})
    report = evaluate_estimates(tmp_path, given, layout="moises")
    assert {row.name: row.sdr_db for row in report.rows} == {"drums": 200.0}


def test_estimates_of_a_moisesdb_song_may_not_end_early(tmp_path: Path) -> None:
    moises_song(tmp_path / "uuid", {("drums", "toms"): noise(1), ("bass", "bass guitar"): noise(2)})
    write(tmp_path / "given", {"drums": noise(1)[:, :-1]})
    with pytest.raises(UnreadableInputError, match=r"drums.wav' ends after 15999 samples"):
        evaluate_estimates(tmp_path / "uuid", tmp_path / "given", layout="moises")


@pytest.mark.parametrize(
    "metadata, said",
    [
        ("{", "is not a song of MoisesDB"),
        ("[]", "is not a song of MoisesDB"),
        ('{"stems": [{"stemName": "drums", "tracks": [{"id": "x"}]}]}', "KeyError: 'trackType'"),
        ('{"stems": [{"stemName": 7, "tracks": [{"id": "x", "trackType": "toms"}]}]}', "is not a song of MoisesDB"),
        ('{"stems": []}', "names no tracks"),
        ('{"stems": [{"stemName": "drums", "tracks": [{"id": "x", "trackType": "toms"}]}]}', "x.wav' is missing"),
        ('{"stems": [{"stemName": "zither", "tracks": [{"id": "x", "trackType": "y"}]}]}', "has a stem 'zither'"),
    ],
)
def test_a_broken_song_of_moisesdb_is_told(tmp_path: Path, metadata: str, said: str) -> None:
    (tmp_path / "uuid").mkdir()
    (tmp_path / "uuid/data.json").write_text(metadata)
    with pytest.raises(UnreadableInputError, match=said):
        moises_layout.find_songs(tmp_path)


def test_folders_without_songs_are_told(tmp_path: Path) -> None:
    for find in (musdb_layout.find_songs, msst_layout.find_songs, moises_layout.find_songs):
        with pytest.raises(UnreadableInputError, match="contains no song"):
            find(tmp_path)
        with pytest.raises(UnreadableInputError, match="is not a folder"):
            find(tmp_path / "missing")
