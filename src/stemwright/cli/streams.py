"""Standard streams that are closed, full, or a broken pipe."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from stemwright.formatting import printable

DUMB_TERMINALS = ("dumb", "unknown")
"""Values of ``TERM`` for terminals that cannot move the cursor."""

UNWRITABLE_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def prepare_streams() -> None:
    """Opens closed streams on the null device, and makes all accept any character.

    The next file that is opened would get the number of a closed stream: output of a library would land in a stem.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name may have characters outside the encoding


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can show a progress bar."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB_TERMINALS


def print_error_line(text: str) -> None:
    """Writes one line on standard error. If the stream is closed, later output is discarded and the work continues."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        redirect_to_null(2)


def redirect_to_null(number: int) -> None:
    """Redirects a stream to the null device, with the content of its buffer."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, number)
    os.close(null)
