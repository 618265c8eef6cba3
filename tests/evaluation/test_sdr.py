from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.evaluation.sdr import LIMIT_DB, RunningSdr, ratio_db, sdr_db

NOISE = np.random.default_rng(0).standard_normal((2, 10_000)).astype(np.float32)
OTHER = np.random.default_rng(1).standard_normal((2, 10_000)).astype(np.float32)


@pytest.mark.parametrize(
    "scale, db", [(0.5, 6.0206), (0.0, 0.0), (0.9, 20.0), (2.0, 0.0), (-1.0, -6.0206), (1.01, 40.0)]
)
def test_a_wrong_gain_scores_what_the_formula_says(scale: float, db: float) -> None:
    assert sdr_db(NOISE, NOISE * np.float32(scale)) == pytest.approx(db, abs=1e-3)


def test_added_noise_scores_its_level() -> None:
    noise = OTHER * np.sqrt(np.sum(NOISE**2) / np.sum(OTHER**2)) / 10
    assert sdr_db(NOISE, NOISE + noise) == pytest.approx(20.0, abs=1e-4)


def test_the_same_signal_scores_the_limit() -> None:
    assert sdr_db(NOISE, NOISE.copy()) == LIMIT_DB


def test_nothing_can_be_compared_with_silence() -> None:
    assert sdr_db(np.zeros_like(NOISE), NOISE) is None


def test_all_channels_count_together() -> None:
    estimate = NOISE.copy()
    estimate[1] = 0
    kept = float(np.sum(NOISE[1] ** 2) / np.sum(NOISE**2))
    assert sdr_db(NOISE, estimate) == pytest.approx(-10 * np.log10(kept), abs=1e-4)


@given(st.lists(st.integers(0, 10_000), max_size=6))
def test_blocks_score_as_the_whole(cuts: list[int]) -> None:
    borders = [0, *sorted(cuts), 10_000]
    running = RunningSdr()
    for start, stop in pairwise(borders):
        running.add(NOISE[:, start:stop], OTHER[:, start:stop])
    assert running.db == pytest.approx(sdr_db(NOISE, OTHER), abs=1e-9)


@given(st.floats(0, 1e30), st.floats(0, 1e30))
def test_ratios_are_always_finite(part: float, whole: float) -> None:
    assert -LIMIT_DB <= ratio_db(part, whole) <= LIMIT_DB
