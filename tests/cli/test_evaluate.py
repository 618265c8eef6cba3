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


def test_a_separator_that_knows_the_stems_gives_the_others_nothing() -> None:
    write(Path("truth/a"), {"drums": noise(1), "bass": noise(2), "keyboard": noise(3)})
    write(Path("truth/b"), {"vocals": noise(1), "unlabelled": noise(2)})
    known, guessed = (json.loads(run("evaluate", "truth", "--json", *more).out) for more in (["--known-stems"], []))
    assert known["absent_stems"] == guessed["absent_stems"] == 9
    assert known["leakage_db"] == -200 < guessed["leakage_db"]
    rows = [{row["name"]: row["sdr_db"] for row in facts["rows"]} for facts in (known, guessed)]
    assert rows[0]["unlabelled"] == rows[1]["unlabelled"], "not all stems of that song are known"
    assert rows[0]["keyboard"] != rows[1]["keyboard"]


def test_given_estimates_know_no_stems() -> None:
    write(Path("truth/a"), {"drums": noise(1), "bass": noise(2)})
    done = run("evaluate", "truth", "--estimates", "truth", "--known-stems")
    assert done.code == 2
    assert "--known-stems is for a separation" in one_error(done)


@pytest.mark.parametrize(
    "lay_out, words",
    [
        (lambda: None, ["truth", "is not a folder"]),
        (lambda: Path("truth").mkdir(), ["truth", "contains no song", "<song>/vocals.flac"]),
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


def test_metrics_are_in_the_table_and_in_json() -> None:
    write(Path("truth/a"), {"vocals": noise(1), "drums": noise(2)})
    write(Path("guess/a"), {"vocals": noise(1) * np.float32(0.9), "drums": noise(2)})
    asked = ("evaluate", "truth", "--estimates", "guess", "--metrics", "csdr,si_sdr,log_wmse")
    facts = json.loads(run(*asked, "--json").out)
    assert facts["metrics"] == ["csdr", "si_sdr", "log_wmse"]
    assert facts["rows"][0]["metrics"]["csdr"] == pytest.approx(20.0, abs=0.01)
    assert facts["songs"][0]["scores"][0]["metrics"]["si_sdr"] > 100
    table = run(*asked).out
    assert all(head in table for head in ("cSDR dB", "SI-SDR dB", "log-WMSE"))


def test_a_data_set_of_others_is_scored() -> None:
    four = {name: noise(seed) for seed, name in enumerate(("vocals", "drums", "bass", "other"))}
    write(Path("musdb/test/song"), four | {"mixture": np.sum(list(four.values()), axis=0)})
    write(Path("guess/song"), four)
    done = run("evaluate", "musdb", "--layout", "musdb", "--estimates", "guess", "--json")
    assert [row["name"] for row in json.loads(done.out)["rows"]] == ["vocals", "drums", "bass", "other", "instrumental"]


def test_a_mixture_file_is_separated_itself() -> None:
    write(Path("set/song"), {"vocals": noise(1, 0.2), "instrumental": noise(2, 0.2), "mixture": 0.4 * noise(3)})
    facts = json.loads(run("evaluate", "set", "--layout", "msst", "--json").out)
    assert facts["mix_error_db"] > 0  # the files have nothing to do with each other
    assert facts["residual_db"] <= -90  # the stems add up to the mixture, not to the labels
    assert [row["name"] for row in facts["rows"]] == ["vocals", "instrumental"]


def test_a_card_and_markdown_are_written() -> None:
    write(Path("truth/a"), {"vocals": noise(1), "drums": noise(2)})
    write(Path("guess/a"), {"vocals": noise(1), "drums": noise(2)})
    asked = ("evaluate", "truth", "--estimates", "guess", "--card", "card.png", "--markdown", "card.md", "--confusion")
    assert run(*asked).code == 0
    assert Path("card.png").read_bytes().startswith(b"\x89PNG")
    assert Path("card.md").read_text().startswith("# estimates guess on truth, 20")


@pytest.mark.parametrize("option", ["--card", "--markdown"])
def test_a_place_that_cannot_be_written_is_told_before_the_work(option: str) -> None:
    write(Path("truth/a"), {"vocals": noise(1), "drums": noise(2)})
    done = run("evaluate", "truth", "--estimates", "truth", option, "missing/card")
    assert done.code == 5
    one_error(done, words=["missing/card"])
    assert "[1/1]" not in done.err


def test_an_unknown_metric_is_one_sentence() -> None:
    done = run("evaluate", "truth", "--metrics", "pesq")
    assert done.code == 2
    one_error(done, words=["no metric named 'pesq'", "log_wmse"])
