from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.plot.waveform_summary import FLOOR_DB, MAX_COLUMNS, summary

RATE_HZ = 44_100


def in_blocks(signal: NDArray[np.float32], length: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, signal.shape[-1], length):
        yield signal[:, start : start + length]


def sine(hz: float, seconds: float, level: float = 1.0) -> NDArray[np.float32]:
    t = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    return np.tile(level * np.sin(2 * np.pi * hz * t), (2, 1)).astype(np.float32)


@pytest.mark.parametrize("hz", [100.0, 1000.0, 10_000.0])
def test_a_sine_is_loudest_in_its_own_row_at_its_own_level(hz: float) -> None:
    shape = summary([sine(hz, 2.0, 0.1)], RATE_HZ)
    middle = shape.spectrogram_db[:, shape.spectrogram_db.shape[1] // 2]
    row = int(middle.argmax())
    # a bin of the STFT is 10.8 Hz wide, and at 100 Hz wider than a row
    assert shape.edges_hz[row] - 10.8 < hz < shape.edges_hz[row + 1] + 10.8
    assert middle[row] < -20 + 0.1  # the mean of a row may hold bins beside the sine's
    if hz < 200:
        assert middle[row] == pytest.approx(-20, abs=1.5)
    assert shape.peak_db == pytest.approx(-20, abs=0.01)
    assert shape.level_db == pytest.approx(-23.01, abs=0.01)


@pytest.mark.parametrize("length", [1, 2047, 2048, 2049, 4096, 100_001])
@pytest.mark.parametrize("block", [1000, 50_000])
def test_the_envelope_holds_every_sample_of_any_length(length: int, block: int) -> None:
    signal = (0.1 * np.random.default_rng(length).standard_normal((2, length))).astype(np.float32)
    shape = summary(in_blocks(signal, block), RATE_HZ)
    assert shape.seconds == length / RATE_HZ
    quiet = [0.0] if length % 2048 else []  # the last column is filled with silence
    assert shape.highs.max() == max([*quiet, signal.max()])
    assert shape.lows.min() == min([*quiet, signal.min()])
    assert len(shape.lows) == len(shape.highs) == shape.spectrogram_db.shape[1] == -(-length // 2048)


def test_a_long_file_gets_no_more_columns_and_loses_no_peak() -> None:
    signal = np.zeros((1, 4_000_000 * 4), np.float32)
    signal[0, 12_345_678] = 0.9
    signal[0, 1_000_000] = -0.8
    shape = summary(in_blocks(signal, 1 << 18), RATE_HZ)
    assert MAX_COLUMNS <= len(shape.highs) <= 2 * MAX_COLUMNS
    assert len(shape.highs) * shape.column_s == pytest.approx(shape.seconds, abs=shape.column_s)
    assert shape.highs.max() == pytest.approx(0.9)
    assert shape.highs.argmax() == int(12_345_678 / RATE_HZ / shape.column_s)
    assert shape.lows.argmin() == int(1_000_000 / RATE_HZ / shape.column_s)
    assert shape.lows.min() == pytest.approx(-0.8)


def test_merged_columns_keep_the_mean_power() -> None:
    signal = (0.1 * np.random.default_rng(0).standard_normal((1, 8_000_000))).astype(np.float32)
    short, long = summary([signal[:, :1_000_000]], RATE_HZ), summary(in_blocks(signal, 1 << 18), RATE_HZ)
    assert long.spectrum_s > short.spectrum_s
    means = [10 * np.log10(np.mean(10 ** (shape.spectrogram_db[100:, :-1] / 10))) for shape in (short, long)]
    assert means[0] == pytest.approx(means[1], abs=0.2)


def test_silence_and_nothing_have_a_shape() -> None:
    silent = summary([np.zeros((2, 10_000), np.float32)], RATE_HZ)
    assert (silent.spectrogram_db == FLOOR_DB).all()
    assert silent.peak_db is None and silent.level_db is None
    assert summary([], RATE_HZ).seconds == 0.0
