"""Reads peaks, segments and spectrograms of stored sound files, in separate processes."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from stemwright.cpu_memory_limits import cores
from stemwright.errors import StorageError
from stemwright.logs import bound_task
from stemwright.service.errors import NotFound, PreviewUnavailable
from stemwright.service.preview_process import NO_ROOM, OUT_OF_RANGE
from stemwright.speed_and_key import SpeedAndKey

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from stemwright.audio.rendering import Part
    from stemwright.audio.stem_mp4 import Codec, StemGroup

COMMAND = (sys.executable, "-P", "-c", "from stemwright.service.preview_process import main; main()")

TIMEOUT_S = 180.0
"""Seconds for one request, with the wait for a free process; the first segments of a song take some tens of ms each."""

MAX_PROCESSES = 2

OnProgress = Callable[[float], None]
"""Called with the share that is done; what it raises stops the work."""

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Preview:
    """A segment as a file of its own."""

    content: bytes
    media_type: str


class PreviewReader:
    """Asks the preview processes, which are started on first use and exit when idle. Thread-safe.

    A file's segments always come from the same process, which keeps its decoder open. What takes longer, peaks and
    spectrograms, has a process of its own: a song must not fall silent while it is drawn. So have renderings, which take
    longest.
    """

    def __init__(
        self, command: Sequence[str] = COMMAND, timeout_s: float = TIMEOUT_S, n_processes: int | None = None
    ) -> None:
        n_processes = n_processes or max(1, min(MAX_PROCESSES, cores()))
        self._processes = [_PreviewProcess(command, timeout_s) for _ in range(n_processes)]
        self._slow_process = _PreviewProcess(command, timeout_s)
        self._rendering_process = _PreviewProcess(command, timeout_s)

    def peaks(self, path: Path) -> bytes:
        """The content of the peaks file of a sound file.

        Raises:
            PreviewUnavailable: the file cannot be read, or not in time.
        """
        return self._ask(path, {"do": "peaks"})[1]

    def segment(self, path: Path, index: int, *, seekable: bool, is_short: bool = False) -> Preview:
        """A segment of a sound file; see ``SegmentCutter.cut``.

        Raises:
            NotFound: the file has no segment of that index.
            PreviewUnavailable: the file cannot be read, or not in time.
        """
        head, body = self._ask(path, {"do": "segment", "index": index, "seekable": seekable, "is_short": is_short})
        return Preview(body, head["media_type"])

    def samples(self, path: Path, index: int, *, seekable: bool) -> NDArray[np.float32]:
        """A segment of a sound file as ``(samples, channels)``; errors as for ``segment``."""
        import numpy as np

        head, body = self._ask(path, {"do": "samples", "index": index, "seekable": seekable})
        return np.frombuffer(body, np.float32).reshape(-1, head["channels"])

    def spectrogram(self, path: Path, out: Path) -> None:
        """Writes the tile file of a sound file's spectrogram to ``out``.

        Raises:
            PreviewUnavailable: the file cannot be read, or not in time.
        """
        self._ask(path, {"do": "spectrogram", "out": str(out.absolute())})

    def taken(self, song: Path, stem: Path, out: Path, *, gain: float) -> None:
        """Writes the tile file of what a stem took of its song; see ``audio.spectrogram.write_taken``.

        Raises:
            PreviewUnavailable: a file cannot be read, or not in time.
        """
        names = {"stem": str(stem.absolute()), "out": str(out.absolute())}
        self._ask(song, {"do": "taken", "gain": gain, **names})

    def stem_mp4(self, groups: Sequence[StemGroup], out: Path, *, codec: Codec, title: str) -> None:
        """Writes a ``.stem.mp4`` to ``out``; see ``audio.stem_mp4.write_stem_mp4``.

        Raises:
            PreviewUnavailable: a file cannot be read, or not in time.
        """
        described = [(group.name, group.colour, [str(file.absolute()) for file in group.files]) for group in groups]
        first = next(file for group in groups for file in group.files)
        names = {"out": str(out.absolute()), "codec": codec, "title": title}
        self._ask(first, {"do": "stem_mp4", "groups": described, **names})

    def render(
        self,
        parts: Sequence[Part],
        *,
        sample_rate: int,
        channels: int,
        samples: int,
        wanted: SpeedAndKey,
        on_progress: OnProgress,
    ) -> list[str]:
        """Writes parts at another speed and key, and returns their formats; see ``audio.rendering.render``.

        Raises:
            PreviewUnavailable: a file cannot be read, or there was no progress for long.
            StorageError: a file cannot be written.
        """
        described = [
            (str(part.source.absolute()) if part.source else None, str(part.out.absolute()), part.name)
            for part in parts
        ]
        facts = {"sample_rate": sample_rate, "channels": channels, "samples": samples}
        how = {"speed": wanted.speed, "semitones": wanted.semitones}
        head, _ = self._ask(parts[0].out, {"do": "render", "parts": described, **facts, **how}, on_progress)
        return [str(fmt) for fmt in head["formats"]]

    def stop_rendering(self) -> None:
        """Ends the rendering under way: whoever waits for it gets PreviewUnavailable."""
        self._rendering_process.kill()

    def start(self) -> None:
        """Starts the processes that do not run yet, without waiting: somebody opens a song and will play it soon."""
        for process in self._processes:
            process.start()

    def close(self) -> None:
        """Stops the processes."""
        for process in (*self._processes, self._slow_process, self._rendering_process):
            process.close()

    def _ask(
        self, path: Path, request: dict[str, Any], on_progress: OnProgress | None = None
    ) -> tuple[dict[str, Any], bytes]:
        name = str(path.absolute())
        process = self._slow_process if on_progress is None else self._rendering_process
        if request["do"] in ("segment", "samples"):
            process = self._processes[zlib.crc32(name.encode("utf-8", "surrogateescape")) % len(self._processes)]
        head, body = process.ask(
            json.dumps({**request, "path": name, "task": bound_task()}).encode() + b"\n", on_progress
        )
        if "error" not in head:
            return head, body
        if head["error"] == NO_ROOM:
            raise StorageError(head["message"])
        if head["error"] == OUT_OF_RANGE:
            raise NotFound("There is no segment of that number.")
        raise PreviewUnavailable("This file cannot be read. Separate the song again, or try another file of it.")


class _PreviewProcess:
    """One process. It answers one request at a time."""

    def __init__(self, command: Sequence[str], timeout_s: float) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, request: bytes, on_progress: OnProgress | None = None) -> tuple[dict[str, Any], bytes]:
        """Sends a request, and returns head and bytes of the reply. Each progress gives it the time anew.

        Raises:
            PreviewUnavailable: there was none in time.
        """
        deadline = time.monotonic() + self._timeout_s
        if not self._lock.acquire(timeout=self._timeout_s):
            raise PreviewUnavailable("The server is too busy to read this song now. Please try again later.")
        try:
            while True:
                process = self._running()
                try:
                    reply = self._exchange(process, request, deadline, on_progress)
                except BaseException:  # the caller wants it no more
                    self._stop()
                    raise
                if reply is not None:
                    return reply
                # Exit status 0 means that it had just reached its idle timeout: start a new one and ask again.
                if self._stop(timeout_s=1.0 if time.monotonic() < deadline else 0.0) != 0:
                    _log.warning(
                        "the process that reads songs for the player did not answer in time, or died of a file"
                    )
                    raise PreviewUnavailable("This song could not be read in time. Please try again later.")
        finally:
            self._lock.release()

    def start(self) -> None:
        """Starts the process unless it runs; one that answers a request does."""
        if self._lock.acquire(blocking=False):
            try:
                self._running()
            finally:
                self._lock.release()

    def kill(self) -> None:
        """Ends the process, even if it answers a request."""
        process = self._process
        if process is not None:
            process.kill()

    def close(self) -> None:
        """Stops the process."""
        with self._lock:
            self._stop()

    def _exchange(
        self, process: subprocess.Popen[bytes], request: bytes, deadline: float, on_progress: OnProgress | None
    ) -> tuple[dict[str, Any], bytes] | None:
        """The reply to a request; None if the process died or did not answer in time."""
        assert process.stdin is not None and process.stdout is not None
        try:
            process.stdin.write(request)
        except BrokenPipeError:
            return None
        reader = _ReplyReader(process.stdout.fileno())
        while (reply := reader.read(deadline)) is not None and "progress" in reply[0]:
            if on_progress is not None:
                on_progress(reply[0]["progress"])
            deadline = time.monotonic() + self._timeout_s
        return reply

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            # Reap it as soon as it exits; otherwise it stays a zombie until the next request.
            threading.Thread(target=self._process.wait, name="previews", daemon=True).start()
        return self._process

    def _stop(self, timeout_s: float = 0.0) -> int:
        """Stops the process, after ``timeout_s`` for it to exit by itself; returns its exit status."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None and process.stdout is not None
        with suppress(OSError):
            process.stdin.close()
        process.stdout.close()
        try:
            return process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


class _ReplyReader:
    """The replies on a pipe."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._data = bytearray()

    def read(self, deadline: float) -> tuple[dict[str, Any], bytes] | None:
        """The next reply: its head and its bytes; None at end of file or timeout."""
        data = self._data
        head: dict[str, Any] | None = None
        with selectors.DefaultSelector() as selector:  # select() fails for descriptors above 1023
            selector.register(self._file, selectors.EVENT_READ)
            while True:
                if head is None and (end := data.find(b"\n")) >= 0:
                    head = json.loads(bytes(data[:end]))
                    del data[: end + 1]
                if head is not None and len(data) >= head["bytes"]:
                    body = bytes(data[: head["bytes"]])
                    del data[: head["bytes"]]
                    return head, body
                in_time = selector.select(max(0.0, deadline - time.monotonic()))
                piece = os.read(self._file, 1 << 20) if in_time else b""
                if not piece:
                    return None
                data += piece
