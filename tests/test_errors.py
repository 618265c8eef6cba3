from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from stemwright.errors import storage_error


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "No room is left"),
        (errno.EDQUOT, "No room is left"),
        (errno.EFBIG, "No room is left"),
        (errno.EACCES, "may not be written"),
        (errno.EPERM, "may not be written"),
        (errno.EROFS, "may not be written"),
        (errno.EIO, "could not be written (Input/output error)"),
    ],
)
def test_failures_to_write_name_the_file_and_the_remedy(number: int, words: str) -> None:
    error = storage_error(OSError(number, os.strerror(number)), Path("stems/bass.wav"))
    assert words in str(error) and "stems/bass.wav" in str(error) and "choose another folder" in str(error)
    assert error.exit_code == 5
