import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.evaluation.roc import area_under_roc

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=20)


@pytest.mark.parametrize(
    "present, absent, area",
    [([0.9, 0.8], [0.1, 0.2], 1.0), ([0.1], [0.9], 0.0), ([0.5, 0.5], [0.5], 0.5), ([0.9, 0.3], [0.5, 0.1], 0.75)],
)
def test_known_areas(present: list[float], absent: list[float], area: float) -> None:
    assert area_under_roc(present, absent) == area


def test_one_kind_alone_has_no_area() -> None:
    assert area_under_roc([0.5], []) is None
    assert area_under_roc([], [0.5]) is None


@given(SCORES, SCORES)
def test_changing_sides_turns_the_area_round(present: list[float], absent: list[float]) -> None:
    one, other = area_under_roc(present, absent), area_under_roc(absent, present)
    assert one is not None and other is not None
    assert one + other == pytest.approx(1.0)


@given(SCORES, SCORES)
def test_only_the_order_matters(present: list[float], absent: list[float]) -> None:
    doubled = area_under_roc([2 * p + 1 for p in map(_coarse, present)], [2 * a + 1 for a in map(_coarse, absent)])
    assert doubled == area_under_roc([*map(_coarse, present)], [*map(_coarse, absent)])


def _coarse(score: float) -> float:
    """Scores that stay apart, or together, under a stretch."""
    return round(score, 6)
