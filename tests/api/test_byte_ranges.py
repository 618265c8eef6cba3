"""The range of a file that a header asks for."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stemwright.api.files import parse_range


@given(st.text(max_size=30) | st.from_regex(r"bytes=\d*-\d*(,\d*-\d*)?", fullmatch=True), st.integers(0, 1000))
def test_any_range_is_within_the_file_or_refused(header: str, size: int) -> None:
    span = parse_range(header, size)
    if span is not None and span[0] < span[1]:
        assert 0 <= span[0] < span[1] <= size
