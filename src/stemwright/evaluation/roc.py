"""Area under the ROC curve of presence scores."""

from __future__ import annotations

from collections.abc import Sequence


def area_under_roc(present: Sequence[float], absent: Sequence[float]) -> float | None:
    """Probability that a present stem scores above an absent one, ties counting half; None without scores of both
    kinds.

    This is the Mann-Whitney U statistic divided by the number of pairs, which equals the area under the receiver
    operating characteristic (Hanley and McNeil, Radiology 1982).
    """
    if not present or not absent:
        return None
    wins = sum((p > a) + 0.5 * (p == a) for p in present for a in absent)
    return wins / (len(present) * len(absent))
