from __future__ import annotations

import json

import pytest

from stemwright.prices import DEFAULT_PRICES, in_credits, in_hundredths, with_defaults


def test_given_prices_replace_the_defaults() -> None:
    assert with_defaults({"wav": 1.5}) == DEFAULT_PRICES | {"wav": 1.5}
    assert with_defaults({}) == DEFAULT_PRICES


@pytest.mark.parametrize("prices", [{"lyrics": 1.0}, {"wav": -0.1}])
def test_unknown_kinds_and_negative_prices_are_refused(prices: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="prices are credits, 0 or more, for: separate_vocal, split_stem"):
        with_defaults(prices)


def test_the_ledger_counts_hundredths() -> None:
    assert [in_hundredths(price) for price in (10.0, 0.4, 0.0)] == [1000, 40, 0]


@pytest.mark.parametrize(
    ("hundredths", "text"), [(0, "0"), (1000, "10"), (-500, "-5"), (40, "0.4"), (999, "9.99"), (-1, "-0.01")]
)
def test_credits_are_integers_where_they_can_be(hundredths: int, text: str) -> None:
    assert json.dumps(in_credits(hundredths)) == text
