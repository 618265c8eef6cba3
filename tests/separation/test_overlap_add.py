from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.models.engine import ChunkSize
from stemwright.separation.overlap_add import OverlapAdd, chunks


@st.composite
def sizes(draw: st.DrawFn) -> ChunkSize:
    length = draw(st.integers(1, 40))
    return ChunkSize(length, draw(st.integers(0, length // 2)))


@given(sizes(), st.integers(1, 300), st.lists(st.integers(0, 300), max_size=4))
def test_a_local_engine_gives_what_it_gives_unchunked(size: ChunkSize, n_units: int, cuts: list[int]) -> None:
    rows = np.random.default_rng(n_units).standard_normal((n_units, 2, 3)).astype(np.float32)
    overlap_add = OverlapAdd(size)
    made = [overlap_add.add(chunk, np.tanh(chunk.rows)) for chunk in chunks(np.split(rows, sorted(cuts)), size)]
    np.testing.assert_allclose(np.concatenate(made), np.tanh(rows), atol=1e-6)


@given(sizes(), st.integers(1, 300))
def test_every_unit_is_valid_once_a_stride_and_only_the_last_chunk_is_last(size: ChunkSize, n_units: int) -> None:
    cut = list(chunks([np.arange(n_units)], size))
    assert [chunk.is_last for chunk in cut] == [False] * (len(cut) - 1) + [True]
    assert all(len(chunk.rows) == size.length for chunk in cut)
    assert (len(cut) - 1) * size.stride + cut[-1].n_valid == n_units
    assert (cut[-1].rows[cut[-1].n_valid :] == 0).all()


def test_the_end_may_go_back_and_forth_over_what_there_is() -> None:
    size = ChunkSize(8, 2)
    first, last = chunks([np.arange(1, 10)], size)
    assert first.mirrored is first.rows
    assert last.rows.tolist() == [7, 8, 9, 0, 0, 0, 0, 0]
    assert last.mirrored.tolist() == [7, 8, 9, 9, 8, 7, 7, 8]
    (only,) = chunks([np.full((1, 2), 5)], size)
    assert (only.mirrored == 5).all() and only.mirrored.shape == (8, 2)


def test_where_chunks_disagree_they_fade_into_each_other() -> None:
    size = ChunkSize(8, 4)
    overlap_add = OverlapAdd(size)
    made = np.concatenate(
        [overlap_add.add(chunk, np.full(8, float(chunk.index), np.float32)) for chunk in chunks([np.ones(12)], size)]
    )
    np.testing.assert_allclose(made, [0, 0, 0, 0, 0.125, 0.375, 0.625, 0.875, 1, 1, 1, 1])


def test_an_empty_stream_has_no_chunks() -> None:
    assert list(chunks([], ChunkSize(4, 2))) == []
    assert list(chunks([np.zeros((0, 2))], ChunkSize(4, 2))) == []


@pytest.mark.parametrize(("length", "overlap"), [(0, 0), (4, 3), (4, -1)])
def test_an_overlap_over_half_is_refused(length: int, overlap: int) -> None:
    with pytest.raises(ValueError, match="overlap"):
        ChunkSize(length, overlap)
