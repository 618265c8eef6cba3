"""Process that reads songs and stems for the player, with limits on memory and CPU time: songs come from strangers.

Reads one JSON request per line from standard input: ``{"do": "peaks", "path": …}`` or ``{"do": "segment", "path": …,
"index": …, "seekable": …, "is_short": …}``, each with ``task``, the id that log lines name; with ``samples`` in place of
``segment`` the reply is float32, interleaved. Requests with ``out`` write a file to that path; ``render`` writes several,
and sends lines with ``progress``, a share, before its reply. Each reply is a line of JSON with ``bytes`` and
``media_type``, or ``error``, and then that many bytes. Exits at end of input, and after an idle period.
"""

from __future__ import annotations

import json
import math
import os
import select
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

ADDRESS_SPACE_BYTES = 4_000_000_000
"""Limit of address space in bytes; libraries reserve most of it without using it."""

CPU_LIMIT_S = 120
"""CPU seconds per request: an hour of MP3 takes some ten."""

RENDERING_CPU_LIMIT_S = 1800
"""The same for a rendering: fifteen minutes of twelve stems at half speed take some 180."""

PROGRESS_STEP = 0.01

IDLE_TIMEOUT_S = 600.0
"""Idle seconds before exit. A start takes as long as 15 segments, and people pause before they go on."""

NICE_INCREMENT = 2

OUT_OF_RANGE = "range"
UNREADABLE = "unreadable"
NO_ROOM = "no room"


def main() -> None:
    """Answers requests until end of input or the idle timeout."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)  # library output must not be taken for a reply
    os.dup2(2, 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to all processes; the server decides
    if hasattr(os, "nice"):
        os.nice(NICE_INCREMENT)
    _limit_memory()
    from stemwright.logs import configure_logs
    from stemwright.service.segment_cutter import SegmentCutter

    configure_logs("preview")

    def send(head: dict[str, Any], body: bytes) -> None:
        reply = memoryview(json.dumps({**head, "bytes": len(body)}).encode() + b"\n" + body)
        while reply:
            reply = reply[replies.write(reply) :]

    cutter = SegmentCutter()
    buffer = b""
    while select.select([0], [], [], IDLE_TIMEOUT_S)[0] and (piece := os.read(0, 65_536)):
        *lines, buffer = (buffer + piece).split(b"\n")
        for line in lines:
            request = json.loads(line)
            _limit_time(RENDERING_CPU_LIMIT_S if request["do"] == "render" else CPU_LIMIT_S)
            send(*_answer(cutter, request, lambda share: send({"progress": share}, b"")))


def _answer(cutter: Any, request: dict[str, Any], on_progress: Callable[[float], None]) -> tuple[dict[str, Any], bytes]:
    import structlog

    from stemwright.errors import StemwrightError, StorageError
    from stemwright.service.segment_cutter import NoSuchSegment

    path = Path(request["path"])
    try:
        if request["do"] == "render":
            return {"formats": _render(request, on_progress)}, b""
        if request["do"] == "peaks":
            return {"media_type": "application/octet-stream"}, peaks(path)
        if request["do"] == "samples":
            samples, _rate = cutter.samples(path, request["index"], seekable=request["seekable"])
            return {"media_type": "application/octet-stream", "channels": samples.shape[1]}, samples.tobytes()
        if "out" in request:
            _write(path, request)
            return {}, b""
        segment = cutter.cut(path, request["index"], seekable=request["seekable"], is_short=request["is_short"])
        return {"media_type": segment.media_type}, segment.content
    except NoSuchSegment:
        return {"error": OUT_OF_RANGE}, b""
    except (StemwrightError, MemoryError, OSError, RuntimeError) as error:  # libsndfile raises RuntimeError
        if isinstance(error, StorageError) and request["do"] == "render":
            return {"error": NO_ROOM, "message": str(error)}, b""
        structlog.stdlib.get_logger(__name__).warning(
            "a stored file could not be read for the player", task=request.get("task"), reason=str(error)[:200]
        )
        return {"error": UNREADABLE}, b""


def _write(path: Path, request: dict[str, Any]) -> None:
    """Writes what was asked for to ``out``."""
    out = Path(request["out"])
    if request["do"] == "stem_mp4":
        from stemwright.audio.stem_mp4 import StemGroup, write_stem_mp4

        groups = [StemGroup(name, colour, tuple(map(Path, files))) for name, colour, files in request["groups"]]
        write_stem_mp4(groups, out, codec=request["codec"], title=request["title"])
        return
    from stemwright.audio.spectrogram import write_spectrogram, write_taken

    if request["do"] == "spectrogram":
        write_spectrogram(path, out)
    else:
        write_taken(path, Path(request["stem"]), out, gain=request["gain"])


def _render(request: dict[str, Any], on_progress: Callable[[float], None]) -> list[str]:
    """Writes the parts that were asked for, and returns their formats."""
    from stemwright.audio.rendering import Part, render
    from stemwright.speed_and_key import SpeedAndKey

    told = 0.0

    def tell(share: float) -> None:
        nonlocal told
        if share >= told + PROGRESS_STEP:
            told = share
            on_progress(share)

    return render(
        [Part(Path(source) if source else None, Path(out), name) for source, out, name in request["parts"]],
        sample_rate=request["sample_rate"],
        channels=request["channels"],
        samples=request["samples"],
        wanted=SpeedAndKey(request["speed"], request["semitones"]),
        on_progress=tell,
    )


def peaks(path: Path) -> bytes:
    """The content of a peaks file of a sound file.

    Raises:
        UnreadableInputError: it is no sound file.
        StorageError: no room in the folder for temporary files.
    """
    from stemwright.audio.peaks import PeaksWriter
    from stemwright.separation.source import FileSource

    source = FileSource(path)
    with tempfile.TemporaryDirectory(prefix="stemwright-") as folder:
        file = Path(folder) / "peaks"
        with PeaksWriter(file, sample_rate=source.sample_rate, full_scale=1.0) as writer:
            for block in source.blocks():
                writer.write(block)
        return file.read_bytes()


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _limit_time(seconds: int) -> None:
    try:
        import resource
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used.ru_utime + used.ru_stime) + seconds, hard))
