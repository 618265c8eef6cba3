from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.errors import StorageError
from stemwright.evaluation.report import Report, summarise
from stemwright.evaluation.scores import Score, SongScores
from stemwright.plot.quality_card import draw_card
from tests.plot.test_stem_picture import size

SCORES = (
    Score("vocals", ("vocals",), 7.0, 0.0, 12.0, {"csdr": 6.5, "log_wmse": None}),
    Score("drums", ("drums",), -200.0, -6.0, 200.0, {"csdr": None, "log_wmse": 20.0}),
)
SONG = SongScores(
    song="song",
    seconds=180.0,
    stems=("vocals", "drums"),
    counts=True,
    is_fully_labelled=True,
    scores=SCORES,
    levels_db={"vocals": -3.0, "drums": -3.0, "bass": -40.0, "fx": -200.0},
    presence={"vocals": 0.9, "drums": 0.8, "bass": 0.1, "fx": 0.0},
    residual_db=-140.0,
    shares={"vocals": {"vocals": 0.9, "drums": 0.1}, "drums": {"vocals": 0.0, "drums": 1.0}},
)


def report(**changes: object) -> Report:
    song = replace(SONG, **changes)  # type: ignore[arg-type]
    return summarise([song, replace(song, song="other")], "fast", ("csdr", "log_wmse"))


def test_every_part_of_the_report_makes_the_card_higher(tmp_path: Path) -> None:
    heights = []
    for changes in (
        {"is_fully_labelled": False, "shares": {}},
        {"is_fully_labelled": True, "shares": {}},
        {
            "is_fully_labelled": True,
            "scores": (*SCORES, *(replace(SCORES[0], name=n) for n in ("bass", "fx", "brass"))),
        },
    ):
        draw_card(report(**changes), "plan fast on dev", "stemwright evaluate dev", tmp_path / "card.png")
        heights.append(size(tmp_path / "card.png")[1])
    assert heights[0] < heights[1] < heights[2]


@pytest.mark.parametrize("title", ["$x$", "[red]", "🎵 日本"])
def test_any_title_and_command_can_be_drawn(tmp_path: Path, title: str) -> None:
    draw_card(report(), title, title * 100, tmp_path / "card.png")
    size(tmp_path / "card.png")


def test_a_report_without_rows_is_drawn_too(tmp_path: Path) -> None:
    draw_card(report(scores=(), counts=False), "nothing", "", tmp_path / "card.png")
    size(tmp_path / "card.png")


def test_a_card_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        draw_card(report(), "title", "", tmp_path / "missing" / "card.png")
    (tmp_path / "card.png").mkdir()
    with pytest.raises(StorageError):
        draw_card(report(), "title", "", tmp_path / "card.png")
    assert [path.name for path in tmp_path.iterdir()] == ["card.png"]
