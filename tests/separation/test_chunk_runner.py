from __future__ import annotations

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from stemwright.errors import StorageError
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.separation.chunk_runner import ChunkRunner, MaskRunner, WaveformRunner, run_chunks
from stemwright.separation.overlap_add import Chunk
from stemwright.separation.source import ArraySource
from stemwright.separation.working_files import StepFiles
from tests.separation.engines import LocalMasks, LocalWaveforms

STEMS = ("drums", "bass")
LOW, HIGH = 20, 100
"""Bands of one bin each."""


def runner_and_chunk(channels: int, loud: float = 1.0) -> tuple[MaskRunner, Chunk]:
    """40 frames with a loud low band and one 20 dB below it."""
    spectrum = np.zeros((40, 2, 2049), np.complex64)
    spectrum[:, :, LOW], spectrum[:, :, HIGH] = loud, 0.1j * loud
    return MaskRunner(LocalMasks(), [(stem,) for stem in STEMS], channels), Chunk(0, spectrum, 40, is_last=True)


@pytest.mark.parametrize("channels", [1, 2])
def test_in_the_share_of_a_stem_bands_count_by_the_root_of_their_energy(channels: int) -> None:
    runner, chunk = runner_and_chunk(channels)
    masks = np.zeros((40, 2, channels, 384), np.float16)
    masks[:, 0, :, LOW] = masks[:, 1, :, HIGH] = 1
    (row,) = runner.levels(masks, chunk)
    energy = 40 * channels * 1.01
    np.testing.assert_allclose(row, [40, energy, energy / 1.1, energy * 0.1 / 1.1], rtol=1e-5)


def test_of_silence_nothing_is_passed() -> None:
    runner, chunk = runner_and_chunk(2, loud=0.0)
    levels = runner.levels(np.full((40, 2, 2, 384), 0.5, np.float16), chunk)
    np.testing.assert_array_equal(levels, [[40, 0, 0, 0]])


@pytest.mark.parametrize("failing", [0, -1])
@pytest.mark.parametrize("engine", [LocalMasks(), LocalWaveforms()], ids=lambda engine: engine.name)
def test_a_disk_that_is_full_ends_the_song_whichever_chunk_it_is(
    engine: MaskEngine | WaveformEngine, failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk works prefetches the engine: what it cannot take must not go unseen."""
    source = ArraySource(np.random.default_rng(1).normal(0, 0.1, (2, 200_000)).astype(np.float32), 44_100)
    outputs = [(stem,) for stem in STEMS]
    runner: ChunkRunner
    shape: tuple[int, ...]
    if isinstance(engine, LocalMasks):
        runner = masks = MaskRunner(engine, outputs, 2)
        shape = masks.row_shape
    else:
        assert isinstance(engine, LocalWaveforms)
        runner, shape = WaveformRunner(engine, outputs, 2), (len(STEMS) + 1, 2)

    def run(name: str) -> int:
        with closing(StepFiles(tmp_path / name, shape, runner.dtype)) as files:
            run_chunks(source, runner, files, on_seconds=lambda seconds: None, is_cancelled=lambda: False)
            return files.state.n_chunks

    count = run("whole")
    assert count > 2
    kept = StepFiles.add

    def add(self: StepFiles, rows: np.ndarray, levels: np.ndarray | None = None, *, is_last: bool) -> None:
        if self.state.n_chunks == failing % count:
            raise StorageError("The disk is full.")
        kept(self, rows, levels, is_last=is_last)

    monkeypatch.setattr(StepFiles, "add", add)
    with pytest.raises(StorageError, match="full"):
        run("full")
