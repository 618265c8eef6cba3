"""The process that reads the headers of strangers' files for the server, within limits of memory and time.

It is buffer on standard input, one path as JSON a line, and replies with a line each: seconds, or null. It ends when its
standard input does, and when no request came for a while.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
from pathlib import Path

ADDRESS_SPACE_BYTES = 4_000_000_000
"""Of address space, most of which the libraries take and never touch."""

CPU_LIMIT_S = 20
"""Seconds of work on one file: a demuxer that goes round for ever ends with this, even if the server is gone."""

IDLE_TIMEOUT_S = 2.0
"""Seconds without a question after which it ends: it would hold memory between uploads that may be hours apart."""

MAX_DURATION_S = 1e7

NICE_INCREMENT = 5


def main() -> None:
    """Answers until standard input ends, or falls silent."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)  # what a library prints must not be taken for an answer
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all of the terminal's processes; the server decides
    if hasattr(os, "nice"):
        os.nice(NICE_INCREMENT)
    _limit_memory()
    buffer = b""
    while select.select([0], [], [], IDLE_TIMEOUT_S)[0] and (piece := os.read(0, 65_536)):
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            _limit_time()
            replies.write(json.dumps(seconds(Path(json.loads(line)))).encode() + b"\n")


def seconds(path: Path) -> float | None:
    """How long a song is, as far as its file says; None where it does not, or is no song."""
    from stemwright.errors import StemwrightError
    from stemwright.separation.source import FileSource

    try:
        found = FileSource(path).expected_s
    except (StemwrightError, MemoryError):
        return None
    return found if found is not None and math.isfinite(found) and 0 < found < MAX_DURATION_S else None


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time() -> None:
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + CPU_LIMIT_S, hard))
