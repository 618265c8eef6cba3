import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.confusion import energy_shares

T = np.arange(40_000) / 44_100
LOW, HIGH = (np.sin(2 * np.pi * hz * T).astype(np.float32) for hz in (200.0, 4000.0))
SILENCE = np.zeros_like(LOW)


def shares(true: list[NDArray[np.float32]], given: list[NDArray[np.float32]]) -> NDArray[np.float64]:
    return energy_shares([np.stack([*true, *given])[:, None]], len(true))


def test_right_estimates_keep_their_stems() -> None:
    np.testing.assert_allclose(shares([LOW, HIGH], [LOW, HIGH]), np.eye(2), atol=0.01)


def test_swapped_estimates_take_each_other() -> None:
    np.testing.assert_allclose(shares([LOW, HIGH], [HIGH, LOW]), np.eye(2)[::-1], atol=0.01)


def test_a_stem_split_three_to_one_is_shared_so() -> None:
    np.testing.assert_allclose(shares([LOW], [0.75 * LOW, 0.25 * LOW]), [[0.75, 0.25]], atol=1e-4)


def test_rows_add_up_to_one_and_a_silent_stem_has_nothing_to_give() -> None:
    rng = np.random.default_rng(0)
    found = shares([LOW, SILENCE], [rng.standard_normal(T.size).astype(np.float32), HIGH, SILENCE])
    assert found.shape == (2, 3)
    assert found[0].sum() == pytest.approx(1.0, abs=1e-4)
    assert not found[1].any()
