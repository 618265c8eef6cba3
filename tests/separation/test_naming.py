from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.separation.naming import MAX_TITLE_BYTES, song_folder_name


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("My song", "My song"),
        ("a\nb\tc\x00", "a_b_c_"),
        ("AC/DC\\live", "AC_DC_live"),
        ("...", "song"),
        ("", "song"),
        ("été 🎸 夜", "été 🎸 夜"),
        ("a. ", "a"),
    ],
)
def test_names_are_safe_and_stay_readable(title: str, name: str) -> None:
    assert song_folder_name(title) == name


@given(st.text(max_size=400))
def test_any_text_gives_one_usable_folder_name(title: str) -> None:
    name = song_folder_name(title)
    assert name not in {"", ".", ".."}
    assert len(name.encode()) <= MAX_TITLE_BYTES
    assert not any(unicodedata.category(char) == "Cc" or char in "/\\" for char in name)
