"""Process that reads the headers of untrusted files for the server, with limits on memory and CPU time.

Reads one JSON path per line from standard input and writes one line each: seconds, or null. Exits at end of input, and
after an idle period.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
from pathlib import Path

ADDRESS_SPACE_BYTES = 4_000_000_000
"""Limit of address space in bytes; libraries reserve most of it without using it."""

CPU_LIMIT_S = 20
"""CPU seconds per file: ends a demuxer stuck in a loop, even if the server has exited."""

IDLE_TIMEOUT_S = 2.0
"""Idle seconds before exit: frees the memory between uploads that may be hours apart."""

MAX_DURATION_S = 1e7

NICE_INCREMENT = 5


def main() -> None:
    """Answers requests until end of input or the idle timeout."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)  # library output must not be taken for a reply
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the server decides
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
    """Returns the duration of a song from its headers; None if unknown or not a song."""
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
