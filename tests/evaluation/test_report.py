import json
from dataclasses import replace

from stemwright.evaluation.report import summarise
from stemwright.evaluation.scores import Score, SongScores


def song(name: str, sdr_db: float, **changes: object) -> SongScores:
    plain = SongScores(
        song=name,
        seconds=10.0,
        stems=("vocals", "drums"),
        counts=True,
        is_fully_labelled=True,
        scores=(Score("drums", ("drums",), sdr_db, -3.0, 9.0), Score("vocals", ("vocals",), 1.0, 0.0, 8.0)),
        levels_db={"vocals": -3.0, "drums": -3.0, "bass": -40.0},
        presence={"vocals": 0.9, "drums": 0.8, "bass": 0.1},
        residual_db=-140.0,
        shares={},
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_rows_are_medians_in_the_order_of_the_vocabulary() -> None:
    report = summarise([song("a", 1.0), song("b", 2.0), song("c", 9.0)], "fast")
    assert [row.name for row in report.rows] == ["vocals", "drums"]
    drums = report.rows[1]
    assert (drums.songs, drums.sdr_db, drums.mean_sdr_db, drums.mix_db, drums.oracle_db) == (3, 2.0, 4.0, -3.0, 9.0)


def test_songs_of_one_stem_are_listed_but_do_not_count() -> None:
    report = summarise([song("a", 1.0), song("solo", 99.0, counts=False)], None)
    assert report.rows[1].sdr_db == 1.0
    assert [scores.song for scores in report.songs] == ["a", "solo"]


def test_partly_labelled_songs_say_nothing_of_absent_stems() -> None:
    loud = {"vocals": -3.0, "drums": -3.0, "bass": 0.0}
    report = summarise([song("a", 1.0), song("b", 1.0, is_fully_labelled=False, levels_db=loud, presence=loud)], None)
    assert (report.leakage_db, report.absent_stems) == (-40.0, 1)
    assert report.presence_auc == 1.0


def test_the_worst_residual_is_told() -> None:
    assert summarise([song("a", 1.0), song("b", 1.0, residual_db=-20.0)], None).residual_db == -20.0


def test_confusion_is_the_mean_over_songs() -> None:
    first = song("a", 1.0, shares={"drums": {"drums": 1.0}})
    second = song("b", 1.0, shares={"drums": {"drums": 0.5, "bass": 0.5}})
    assert summarise([first, second], None).confusion == {"drums": {"drums": 0.75, "bass": 0.25}}


def test_the_report_is_json() -> None:
    report = summarise([song("a", 1.0)], "fast")
    assert json.loads(json.dumps(report.to_dict()))["rows"][1]["sdr_db"] == 1.0
