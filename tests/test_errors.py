from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stemwright.errors import StemwrightError, storage_error
from stemwright.stems import select


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No room is left"),
        (errno.EDQUOT, "No room is left"),
        (errno.EFBIG, "No room is left"),
        (errno.EACCES, "cannot be written (Permission denied)"),
        (errno.EPERM, "cannot be written (Operation not permitted)"),
        (errno.EROFS, "cannot be written (Read-only file system)"),
        (errno.EIO, "could not be written (Input/output error)"),
    ],
)
def test_failures_to_write_name_the_file_and_the_remedy(number: int, words: str) -> None:
    error = storage_error(OSError(number, os.strerror(number)), Path("stems/bass.wav"))
    assert words in str(error) and "stems/bass.wav" in str(error) and "choose another folder" in str(error)
    assert error.exit_code == 5


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "\ud800", "\u2028", "\u202e.mp3", "caf\udce9"])
def test_a_message_is_one_line_whatever_the_names_in_it(name: str) -> None:
    assert str(StemwrightError(f"There is no '{name}'.")).isprintable()


@pytest.mark.parametrize("stems", ["x" * 10_000, "0\n0", ["vocals", "\x00"], "bass," * 1_000])
def test_stems_that_are_unknown_are_shown_short(stems: str | list[str]) -> None:
    with pytest.raises(StemwrightError) as caught:
        select(stems)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 300
