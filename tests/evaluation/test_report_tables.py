from dataclasses import replace

from stemwright.evaluation.report import summarise
from stemwright.evaluation.report_tables import confusion_table, facts, rows_table, songs_table, to_markdown
from tests.evaluation.test_report import song


def scored(name: str, csdr: float | None):  # type: ignore[no-untyped-def]
    plain = song(name, 2.0, shares={"drums": {"drums": 0.8, "bass": 0.2}})
    return replace(plain, scores=tuple(replace(score, metrics={"csdr": csdr}) for score in plain.scores))


REPORT = summarise([scored("a|b", 3.0), scored("c", None)], "fast", ("csdr",))


def test_a_row_has_a_figure_for_every_head() -> None:
    head, vocals, drums = rows_table(REPORT)
    assert head[-1] == "cSDR dB"
    assert drums == ("drums", "2", "2.0", "-3.0", "9.0", "2.0", "3.0")
    assert len(head) == len(vocals) == len(drums)


def test_songs_without_a_figure_have_a_dash() -> None:
    assert songs_table(REPORT)[3] == ("c", "drums", "2.0", "-3.0", "9.0", "–")
    assert summarise([scored("c", None)], "fast", ("csdr",)).rows[0].metrics == {"csdr": None}


def test_confusion_is_in_percent() -> None:
    assert confusion_table(REPORT) == (("energy of, in % to", "drums", "bass"), ("drums", "80", "20"))


def test_a_mixture_that_is_not_the_sum_is_a_fact_and_one_that_is_goes_unsaid() -> None:
    said = {db: facts(replace(REPORT, mix_error_db=db)) for db in (None, -80.0, -30.0)}
    assert said[None] == said[-80.0]
    assert any("mixture files: -30 dB" in fact for fact in said[-30.0])


def test_markdown_holds_everything_and_no_name_breaks_a_table() -> None:
    page = to_markdown(REPORT, "plan fast on dev", "stemwright evaluate dev")
    assert page.startswith("# plan fast on dev\n\n```\nstemwright evaluate dev\n```\n")
    assert "| drums | 2 | 2.0 | -3.0 | 9.0 | 2.0 | 3.0 |" in page
    assert "a\\|b" in page and "| drums | 80 | 20 |" in page
