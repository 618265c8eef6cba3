from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.separation.quantization import EXACT_DB, PartMeter, Quantization, ResidualMeter, remainder


@given(st.integers(0, 2**32 - 1), st.sampled_from([16, 24]), st.integers(1, 11))
def test_integer_parts_add_up_to_the_input_bit_for_bit(seed: int, bits: int, n_parts: int) -> None:
    rng = np.random.default_rng(seed)
    integers = rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 50))
    mix = (integers / 2 ** (bits - 1)).astype(np.float32)
    rounding = Quantization(bits, limited=True)
    others = [rounding.apply(rng.normal(0, 0.2, mix.shape).astype(np.float32)) for _ in range(n_parts)]
    values = [*others, remainder(rounding.apply(mix), others)]
    np.testing.assert_array_equal(np.sum(values, axis=0), integers)
    account = ResidualMeter(rounding)
    account.add(mix, values)
    assert account.residual_db == EXACT_DB


def test_float_parts_add_up_to_float_rounding() -> None:
    rng = np.random.default_rng(0)
    mix = rng.normal(0, 0.3, (2, 5000)).astype(np.float32)
    rounding = Quantization(None, limited=False)
    others = [rng.normal(0, 0.3, mix.shape).astype(np.float32) for _ in range(11)]
    account = ResidualMeter(rounding)
    account.add(mix, [*others, remainder(mix, others)])
    assert account.residual_db < -120


@pytest.mark.parametrize(("value", "exceeds"), [(32767, False), (32768, True), (-32768, False), (-32769, True)])
def test_full_scale_is_not_too_much_but_one_more_is(value: int, exceeds: bool) -> None:
    assert Quantization(16, limited=True).exceeds(np.array([[0, value]], np.int32)) is exceeds


def test_float_files_have_no_full_scale() -> None:
    values = np.array([[3.0]], np.float32)
    assert not Quantization(None, limited=False).exceeds(values)
    assert Quantization(None, limited=True).exceeds(values)


@given(st.floats(1.0, 40.0), st.sampled_from([16, 24, None]))
def test_the_gain_for_a_peak_brings_it_below_full_scale(peak: float, bits: int | None) -> None:
    rounding = Quantization(bits, limited=True)
    limited = Quantization(bits, limited=True, gain=rounding.ceiling / peak)
    assert not limited.exceeds(limited.apply(np.array([[peak, -peak]], np.float32)))


def test_levels_are_those_of_a_sine() -> None:
    account = PartMeter(Quantization(None, limited=False))
    account.add((0.5 * np.sin(np.arange(44_100) * 0.1)[None]).astype(np.float32))
    assert account.peak_db == pytest.approx(-6.02, abs=0.01)
    assert account.level_db == pytest.approx(-9.03, abs=0.01)


def test_silence_has_no_level() -> None:
    account = PartMeter(Quantization(16, limited=True))
    account.add(np.zeros((2, 10), np.int32))
    assert account.peak_db is None
    assert account.level_db is None
