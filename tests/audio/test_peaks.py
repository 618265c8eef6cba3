"""Peaks files: against the definition, for any blocks and lengths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemwright.audio.peaks import HEADER, SAMPLES_PER_PEAK, PeaksWriter, read_peaks
from stemwright.audio.segments import segment_length
from stemwright.errors import StorageError


def written(path: Path, samples: NDArray[np.generic], sizes: list[int], full_scale: float = 1.0) -> bytes:
    with PeaksWriter(path, sample_rate=44_100, full_scale=full_scale) as writer:
        start = 0
        for size in [*sizes, samples.shape[1]]:
            writer.write(samples[:, start : start + size])
            start += size
    return path.read_bytes()


def by_definition(samples: NDArray[np.float32], per_peak: int) -> NDArray[np.int8]:
    rows = []
    for start in range(0, samples.shape[1], per_peak):
        piece = samples[:, start : start + per_peak]
        rows.append((np.floor(piece.min() * 128), np.ceil(piece.max() * 128)))
    return np.clip(np.array(rows).reshape(-1, 2), -128, 127).astype(np.int8)


@settings(max_examples=30, deadline=None)
@given(
    n=st.one_of(st.integers(0, 3000), st.integers(65_000, 140_000)),
    sizes=st.lists(st.integers(0, 3000), max_size=12),
    channels=st.integers(1, 2),
    seed=st.integers(0, 9),
)
def test_every_level_is_the_extremes_of_its_samples(
    tmp_path_factory: pytest.TempPathFactory, n: int, sizes: list[int], channels: int, seed: int
) -> None:
    samples = np.random.default_rng(seed).uniform(-1, 1, (channels, n)).astype(np.float32)
    rate, length, levels = read_peaks(written(tmp_path_factory.mktemp("p") / "x", samples, sizes))
    assert (rate, length) == (44_100, n)
    for level, per_peak in zip(levels, SAMPLES_PER_PEAK, strict=True):
        assert level.shape == (-(-n // per_peak), 2)
        np.testing.assert_array_equal(level, by_definition(samples, per_peak))


def test_the_bytes_of_the_header_are_as_documented(tmp_path: Path) -> None:
    content = written(tmp_path / "x", np.zeros((1, 300), np.float32), [])
    assert HEADER.size == 64 and len(content) == 64 + 2 * (2 + 1 + 1 + 1 + 1)
    assert content[:8] == b"SWPK\x01\x05\x00\x00"
    assert content[8:24] == (44_100).to_bytes(4, "little") + (220_500).to_bytes(4, "little") + (300).to_bytes(
        8, "little"
    )
    assert content[24:32] == (256).to_bytes(4, "little") + (2).to_bytes(4, "little")
    assert segment_length(44_100) == 220_500


def test_integers_have_the_full_scale_that_is_said(tmp_path: Path) -> None:
    values = np.array([[-32_768, 16_384, 1, 0]], np.int32)
    levels = read_peaks(written(tmp_path / "x", values, [], full_scale=32_768.0))[2]
    assert levels[0].tolist() == [[-128, 64]]


def test_silence_is_zero_and_a_trace_of_sound_is_not(tmp_path: Path) -> None:
    samples = np.zeros((2, 512), np.float32)
    samples[1, 300] = 1e-6
    assert read_peaks(written(tmp_path / "x", samples, []))[2][0].tolist() == [[0, 0], [0, 1]]


def test_another_file_is_refused() -> None:
    for content in (b"", b"RIFF" + bytes(100)):
        with pytest.raises(ValueError, match="peaks file"):
            read_peaks(content)


def test_a_folder_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="x could not be written"):
        PeaksWriter(tmp_path / "none" / "x", sample_rate=8000, full_scale=1.0)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_a_storage_error() -> None:
    with (
        pytest.raises(StorageError, match="No room is left"),
        PeaksWriter(Path("/dev/full"), sample_rate=8000, full_scale=1.0) as writer,
    ):
        for _ in range(40):
            writer.write(np.zeros((2, 65_536), np.float32))
