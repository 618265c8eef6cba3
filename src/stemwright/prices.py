"""Prices of tasks, in credits."""

from __future__ import annotations

from collections.abc import Mapping

DEFAULT_PRICES = {
    "separate_vocal": 10.0,
    "split_stem": 50.0,
    "split_stem_advanced": 20.0,
    "wav": 0.4,
    "vocal": 10.0,
    "instrumental": 50.0,
    "v1": 0.0,
}
"""Credits a task, by type (kie.ai) or mode (crun.ai); ``v1`` is a separation of our own API."""


def with_defaults(prices: Mapping[str, float]) -> dict[str, float]:
    """The default prices, with those given in their place.

    Raises:
        ValueError: a type or mode is unknown, or a price is negative.
    """
    unknown = prices.keys() - DEFAULT_PRICES.keys()
    if unknown or min(prices.values(), default=0) < 0:
        raise ValueError(f"prices are credits, 0 or more, for: {', '.join(DEFAULT_PRICES)}")
    return {**DEFAULT_PRICES, **prices}


def in_hundredths(price: float) -> int:
    """A price as the ledger counts: in hundredths of a credit."""
    return round(100 * price)


def in_credits(hundredths: int) -> int | float:
    """A price or a balance of the ledger in credits, as JSON has it: an integer if possible."""
    return hundredths // 100 if hundredths % 100 == 0 else hundredths / 100
