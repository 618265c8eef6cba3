from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.reference_songs import find_songs
from stemwright.evaluation.scores import SongScores, score_song
from stemwright.evaluation.sdr import sdr_db
from stemwright.stems import STEMS
from tests.evaluation.sounds import noise, write

Signals = dict[str, NDArray[np.float32]]
SILENCE = np.zeros_like(noise(0))


def scored(folder: Path, true: Signals, given: Signals, gain_db: float = 0.0, confusion: bool = False) -> SongScores:
    (song,) = find_songs(write(folder / "true", true))
    files = write(folder / "given", given)
    return score_song(song, {name: files / f"{name}.wav" for name in given}, gain_db=gain_db, confusion=confusion)


def by_name(scores: SongScores) -> dict[str, float]:
    return {score.name: score.sdr_db for score in scores.scores}


def test_every_figure_of_a_row_is_that_of_the_arrays(tmp_path: Path) -> None:
    true = {"vocals": noise(1), "drums": noise(2, 0.05)}
    given = {**dict.fromkeys(STEMS, SILENCE), "vocals": noise(1) + noise(3, 0.01), "drums": noise(2, 0.04)}
    scores = scored(tmp_path, true, given)
    mix = true["vocals"] + true["drums"]
    assert by_name(scores)["vocals"] == pytest.approx(sdr_db(true["vocals"], given["vocals"]), abs=1e-4)
    assert by_name(scores)["drums"] == pytest.approx(20 * np.log10(0.05 / 0.01), abs=0.01)
    assert scores.scores[1].mix_db == pytest.approx(sdr_db(true["drums"], mix), abs=1e-4)
    assert scores.scores[0].oracle_db > max(0.0, scores.scores[0].mix_db)
    assert scores.seconds == 2.0 and scores.counts


def test_right_estimates_have_no_residual(tmp_path: Path) -> None:
    true = {"vocals": noise(1), "drums": noise(2), "unlabelled": noise(3)}
    given = {**dict.fromkeys(STEMS, SILENCE), "vocals": noise(1), "drums": noise(2), "fx": noise(3)}
    scores = scored(tmp_path, true, given)
    assert scores.residual_db < -120
    assert by_name(scores) == dict.fromkeys(("vocals", "drums", "singing", "instrumental", "unlabelled"), 200.0)


def test_a_missing_part_shows_in_the_residual(tmp_path: Path) -> None:
    true = {"vocals": noise(1), "drums": noise(2)}
    scores = scored(tmp_path, true, {"vocals": noise(1), "drums": 0.5 * noise(2)})
    peak = np.abs(0.5 * noise(2)).max() / np.abs(noise(1) + noise(2)).max()
    assert scores.residual_db == pytest.approx(20 * np.log10(peak), abs=0.01)


def test_leakage_is_the_level_of_absent_stems_under_the_mix(tmp_path: Path) -> None:
    true = {"drums": noise(1), "bass": SILENCE}
    given = {"drums": noise(1), "bass": noise(2, 0.001), "fx": SILENCE}
    scores = scored(tmp_path, true, given)
    assert scores.absent == ("bass", "fx")
    assert scores.levels_db["bass"] == pytest.approx(-40.0, abs=0.1)
    assert scores.levels_db["fx"] == -200.0


def test_a_silent_true_stem_counts_as_absent(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"drums": noise(1), "bass": SILENCE}, {"drums": noise(1), "bass": SILENCE})
    assert scores.stems == ("drums",)
    assert by_name(scores) == {"drums": 200.0}
    assert not scores.counts


def test_a_song_of_silence_has_no_rows(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"drums": SILENCE, "bass": SILENCE}, {"drums": SILENCE, "bass": SILENCE})
    assert scores.scores == () and not scores.counts


def test_stems_of_a_partly_labelled_song_are_not_absent(tmp_path: Path) -> None:
    scores = scored(tmp_path, {"vocals": noise(1), "unlabelled": noise(2)}, {"vocals": noise(1), "bass": noise(2)})
    assert scores.absent == ()


def test_the_common_gain_is_undone(tmp_path: Path) -> None:
    true = {"drums": noise(1), "bass": noise(2)}
    half = np.float32(10 ** (-6 / 20))
    given = {name: half * signal for name, signal in true.items()}
    assert by_name(scored(tmp_path / "a", true, given))["drums"] < 7
    assert by_name(scored(tmp_path / "b", true, given, gain_db=-6.0))["drums"] > 100


def test_confusion_names_both_sides(tmp_path: Path) -> None:
    true = {"drums": noise(1), "bass": noise(2)}
    shares = scored(tmp_path, true, {"drums": noise(1), "bass": noise(2), "fx": SILENCE}, confusion=True).shares
    assert set(shares) == {"drums", "bass"}
    assert shares["drums"]["drums"] > shares["drums"]["bass"] > shares["drums"]["fx"] == 0.0
    assert sum(shares["bass"].values()) == pytest.approx(1.0, abs=1e-4)


def test_metrics_are_taken_of_every_row_and_of_silence(tmp_path: Path) -> None:
    true = {"drums": noise(1), "bass": noise(2), "fx": SILENCE}
    given = {"drums": noise(1), "bass": np.float32(0.5) * noise(2), "fx": noise(3, 0.001), "brass": SILENCE}
    (song,) = find_songs(write(tmp_path / "true", true))
    files = write(tmp_path / "given", given)
    asked = ("csdr", "si_sdr", "bleedless", "fullness", "l1_freq", "log_wmse")
    scores = score_song(song, {name: files / f"{name}.wav" for name in given}, metrics=asked)
    drums, bass = (score.metrics for score in scores.scores)
    assert tuple(drums) == asked
    assert drums["bleedless"] == drums["fullness"] == drums["l1_freq"] == 100.0
    assert bass["csdr"] == pytest.approx(6.02, abs=0.01)
    assert bass["si_sdr"] == 200.0
    assert bass["fullness"] == pytest.approx(100 / (1 + 6.02), abs=0.1)
    assert set(scores.absent_log_wmse) == {"fx", "brass"}
    assert scores.absent_log_wmse["brass"] == pytest.approx(-4 * np.log(1e-8))
    assert 30 < scores.absent_log_wmse["fx"] < 50


def test_no_metric_is_taken_unasked(tmp_path: Path) -> None:
    true = {"drums": noise(1), "bass": noise(2)}
    scores = scored(tmp_path, true, true)
    assert all(score.metrics == {} for score in scores.scores) and scores.absent_log_wmse == {}
