import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import files_below, one_error, run
from tests.evaluation.sounds import noise, write


def test_given_estimates_are_scored_in_a_table() -> None:
    write(Path("truth/a"), {"vocals": noise(1), "drums": noise(2)})
    write(Path("truth/b"), {"vocals": noise(3), "bass": noise(4)})
    write(Path("guess/a"), {"vocals": noise(1) * np.float32(0.9), "instrumental": noise(2)})
    write(Path("guess/b"), {"vocals": noise(3) * np.float32(0.9), "instrumental": noise(4)})
    done = run("evaluate", "truth", "--estimates", "guess", "--songs")
    assert done.code == 0
    rows = {line.split()[0]: line.split() for line in done.out.splitlines() if line.strip()}
    assert rows["vocals"][1:3] == ["2", "20.0"]
    assert rows["instrumental"][1:3] == ["2", "200.0"]
    assert {"a", "b"} <= set(rows)
    assert done.err.splitlines() == ["[1/2] a", "[2/2] b"]


def test_json_holds_everything_and_nothing_else_is_printed() -> None:
    write(Path("truth/a"), {"vocals": noise(1), "drums": noise(2)})
    write(Path("guess/a"), {"vocals": noise(1), "drums": noise(2), "residual": 0 * noise(1)})
    facts = json.loads(run("evaluate", "truth", "--estimates", "guess", "--json", "--confusion").out)
    assert set(facts) >= {"rows", "songs", "leakage_db", "presence_auc", "residual_db", "confusion", "plan"}
    assert facts["plan"] is None
    assert facts["rows"][0] == {
        "name": "vocals",
        "songs": 1,
        "sdr_db": 200.0,
        "mean_sdr_db": 200.0,
        "mix_db": pytest.approx(0.0, abs=0.2),
        "oracle_db": facts["songs"][0]["scores"][0]["oracle_db"],
    }
    assert facts["confusion"]["drums"]["drums"] > 0.5


def test_a_mix_is_separated_and_scored_and_no_file_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    write(Path("truth"), {"drums": noise(1, 0.5), "bass": noise(2, 0.5), "keyboard": noise(3, 0.5)})  # past full scale
    before = files_below(".")
    done = run("evaluate", "truth", "--json")
    facts = json.loads(done.out)
    assert [row["name"] for row in facts["rows"]] == ["drums", "bass", "keyboard"]
    assert facts["plan"] == "fast"
    assert facts["residual_db"] <= -90
    assert facts["absent_stems"] == 9
    assert 0.0 <= facts["presence_auc"] <= 1.0
    # masks that sum to one cannot do better than the stem itself, nor lose more than all of it and the mix beside
    assert all(row["mix_db"] - 3 < row["sdr_db"] < 100 for row in facts["rows"])
    assert files_below(".") == before and files_below(tmp_path / "temporary") == []


@pytest.mark.parametrize(
    "lay_out, words",
    [
        (lambda: None, ["truth", "is not a folder"]),
        (lambda: Path("truth").mkdir(), ["truth", "holds no song", "<song>/vocals.flac"]),
        (lambda: write(Path("truth/a"), {"banjo": noise(1)}), ["banjo.wav", "not named after a stem"]),
        (
            lambda: write(Path("truth/a"), {"drums": noise(1), "bass": noise(2)[:, :-1]}),
            ["bass.wav", "same length"],
        ),
        (
            lambda: [write(Path("truth/a"), {"drums": noise(1)}), write(Path("truth/a"), {"bass": noise(1)}, 16_000)],
            ["bass.wav", "sample rate"],
        ),
    ],
)
def test_a_wrong_layout_is_one_sentence(lay_out, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    lay_out()
    write(Path("guess/a"), {"drums": noise(1), "bass": noise(2)})
    done = run("evaluate", "truth", "--estimates", "guess")
    assert done.code == 3
    one_error(done, words=words)
    assert done.out == ""


def test_a_song_without_estimates_is_told_before_any_is_scored() -> None:
    for song in ("a", "b"):
        write(Path("truth") / song, {"drums": noise(1), "bass": noise(2)})
    write(Path("guess/a"), {"drums": noise(1)})
    done = run("evaluate", "truth", "--estimates", "guess")
    assert done.code == 3
    one_error(done, words=["no estimates of 'b'"])
    assert "[1/2]" not in done.err
