import pytest

from stemwright.evaluation.comparisons import Comparison, comparisons
from stemwright.stems import STEMS

PLAYED = tuple(stem for stem in STEMS if stem not in ("vocals", "backing_vocals"))


def rows(true: str, given: tuple[str, ...] = STEMS) -> dict[str, Comparison]:
    return {row.name: row for row in comparisons(true.split(), given)}


def test_stems_are_compared_by_name_in_order() -> None:
    found = comparisons(["bass", "drums", "vocals"], STEMS)
    assert [row.name for row in found] == ["vocals", "drums", "bass", "singing", "instrumental"]
    assert found[0] == Comparison("vocals", ("vocals",), ("vocals",))


def test_singing_is_all_vocals_and_instrumental_the_rest() -> None:
    found = rows("vocals backing_vocals drums bass")
    assert found["singing"] == Comparison("singing", ("vocals", "backing_vocals"), ("vocals", "backing_vocals"))
    assert found["instrumental"] == Comparison("instrumental", ("drums", "bass"), PLAYED)


def test_a_song_without_singing_or_of_singing_alone_has_neither() -> None:
    assert set(rows("drums bass")) == {"drums", "bass"}
    assert set(rows("vocals backing_vocals")) == {"vocals", "backing_vocals"}


def test_unlabelled_is_the_sum_of_all_that_is_not_named() -> None:
    found = rows("vocals unlabelled")
    assert found["unlabelled"].estimates == ("backing_vocals", *PLAYED)
    assert found["instrumental"] == Comparison("instrumental", ("unlabelled",), PLAYED)
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
