"""Standard streams: closed ones, full ones, and those that somebody stops reading."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import TextIO

from stemwright.formatting import printable

DUMB = ("dumb", "unknown")
"""What ``TERM`` says of terminals that cannot move the cursor."""

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def prepare_streams() -> None:
    """Opens closed streams on nothing, and lets all of them take any character.

    A closed stream leaves its number to the next file that is opened: what a library prints would land in a stem.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free: this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a song's name may hold what the terminal's encoding has not got


def is_terminal(stream: TextIO) -> bool:
    """Whether a bar can be drawn on a stream: it is a terminal that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM", "").lower() not in DUMB


def tell(text: str) -> None:
    """Writes one line on standard error. If nobody reads it any more, the work goes on in silence."""
    try:
        print(printable(text), file=sys.stderr, flush=True)
    except OSError:
        discard(2)


def discard(number: int) -> None:
    """Sends a stream into nothing, with what its buffer still holds."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, number)
    os.close(nothing)
