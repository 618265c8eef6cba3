from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwright.audio.containers.pieces import Piece, PieceFile, Span, Window

CONTENT = bytes(range(200))
spans = st.tuples(st.integers(0, 200), st.integers(0, 200)).map(lambda ends: Span(min(ends), max(ends)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "in.file"
    path.write_bytes(CONTENT)
    return path


@settings(max_examples=100)
@given(
    pieces=st.lists(spans | st.binary(max_size=20), max_size=6),
    reads=st.lists(st.tuples(st.integers(-50, 300), st.integers(0, 2), st.integers(-1, 90)), max_size=8),
)
def test_pieces_read_as_one_file(path: Path, pieces: list[Piece], reads: list[tuple[int, int, int]]) -> None:
    whole = b"".join(CONTENT[piece.start : piece.stop] if isinstance(piece, Span) else piece for piece in pieces)
    file = PieceFile(path.open("rb"), tuple(pieces))
    position = 0
    for offset, whence, count in reads:
        position = min(max(0, (0, position, len(whole))[whence] + offset), len(whole))
        assert file.seek(offset, whence) == file.tell() == position
        expected = whole[position:] if count < 0 else whole[position : position + count]
        assert file.read(count) == expected
        position += len(expected)
    file.close()


@given(places=st.lists(st.tuples(st.integers(0, 220), st.integers(0, 60)), max_size=20))
@settings(max_examples=50)
def test_a_window_gives_what_the_file_holds(path: Path, places: list[tuple[int, int]]) -> None:
    with path.open("rb") as file:
        window = Window(file)
        for offset, count in places:
            assert window.at(offset, count) == CONTENT[offset : offset + count]
