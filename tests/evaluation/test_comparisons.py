import pytest

from stemwright.evaluation.comparisons import Comparison, comparisons
from stemwright.stems import STEMS

INSTRUMENTAL_STEMS = tuple(stem for stem in STEMS if stem not in ("vocals", "backing_vocals"))


def rows(true: str, given: tuple[str, ...] = STEMS) -> dict[str, Comparison]:
    return {row.name: row for row in comparisons(true.split(), given)}


def test_stems_are_compared_by_name_in_order() -> None:
    found = comparisons(["bass", "drums", "vocals"], STEMS)
    assert [row.name for row in found] == ["vocals", "drums", "bass", "singing", "instrumental"]
    assert found[0] == Comparison("vocals", ("vocals",), ("vocals",))


def test_singing_is_all_vocals_and_instrumental_the_rest() -> None:
    found = rows("vocals backing_vocals drums bass")
    assert found["singing"] == Comparison("singing", ("vocals", "backing_vocals"), ("vocals", "backing_vocals"))
    assert found["instrumental"] == Comparison("instrumental", ("drums", "bass"), INSTRUMENTAL_STEMS)


def test_a_song_without_singing_or_of_singing_alone_has_neither() -> None:
    assert set(rows("drums bass")) == {"drums", "bass"}
    assert set(rows("vocals backing_vocals")) == {"vocals", "backing_vocals"}


def test_unlabelled_is_the_sum_of_all_that_is_not_named() -> None:
    found = rows("vocals unlabelled")
    assert found["unlabelled"].estimates == ("backing_vocals", *INSTRUMENTAL_STEMS)
    assert found["instrumental"] == Comparison("instrumental", ("unlabelled",), INSTRUMENTAL_STEMS)
    assert set(rows("drums unlabelled")) == {"drums", "unlabelled"}


@pytest.mark.parametrize("true", ["vocals drums bass", "vocals backing_vocals unlabelled"])
def test_two_estimates_score_singing_and_instrumental(true: str) -> None:
    found = rows(true, ("vocals", "instrumental"))
    assert found["singing"].estimates == ("vocals",)
    assert found["instrumental"].estimates == ("instrumental",)
    # the estimate holds all singing: a song with its backing in another file has nothing to compare it with by name
    assert ("vocals" in found) == ("backing_vocals" not in true)


def test_without_an_estimate_of_the_rest_the_rest_is_not_scored() -> None:
    assert set(rows("vocals drums unlabelled", ("vocals", "drums"))) == {"vocals", "drums", "singing"}
    assert rows("vocals drums", ("vocals", "residual"))["instrumental"].estimates == ("residual",)


SINGING = ("vocals", "backing_vocals")
REST = tuple(stem for stem in INSTRUMENTAL_STEMS if stem not in ("drums", "bass"))
MUSDB = {"vocals": SINGING, "other": REST}


def coarse_rows(given: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    return {row.name: row.estimates for row in comparisons(("vocals", "drums", "bass", "other"), given, MUSDB)}


def test_a_coarse_label_is_compared_with_all_that_it_holds() -> None:
    found = coarse_rows(STEMS)
    assert found["vocals"] == SINGING
    assert found["other"] == REST
    assert found["instrumental"] == INSTRUMENTAL_STEMS
    assert "singing" not in found


def test_four_estimates_are_compared_with_four_stems() -> None:
    found = coarse_rows(("vocals", "drums", "bass", "residual"))
    assert found["vocals"] == ("vocals",)
    assert found["other"] == ("residual",)
    assert found["instrumental"] == ("drums", "bass", "residual")


def test_a_coarse_label_whose_estimates_hold_more_or_less_has_no_row() -> None:
    assert "other" not in coarse_rows(("vocals", "drums", "residual"))  # the residual holds bass too
    assert "other" not in coarse_rows(("vocals", "drums", "bass", "guitar"))
    assert "vocals" not in coarse_rows(("drums", "bass", "backing_vocals", "residual"))


def test_an_instrumental_beside_finer_estimates_is_not_added_to_them() -> None:
    assert rows("vocals drums", ("vocals", "drums", "instrumental"))["instrumental"].estimates == ("instrumental",)
