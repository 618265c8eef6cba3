"""Reads the duration of an uploaded song at once, from its headers, in a separate process."""

from __future__ import annotations

import json
import logging
import os
import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

COMMAND = (sys.executable, "-P", "-c", "from stemwright.service.duration_process import main; main()")

TIMEOUT_S = 5.0
"""Timeout in seconds for reading headers, including process startup; the duration is unknown after that."""

_log = logging.getLogger(__name__)


class DurationReader:
    """Queries the header process, which is started on first use and restarted after it exits. Thread-safe."""

    def __init__(self, command: Sequence[str] = COMMAND, timeout_s: float = TIMEOUT_S) -> None:
        self._command = list(command)
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def seconds(self, path: Path) -> float | None:
        """Returns the duration of the song in a file according to its headers.

        None if the headers do not state it, the file is not a song, or the reply is late: the worker then measures
        the duration.
        """
        deadline = time.monotonic() + self._timeout_s
        if not self._lock.acquire(timeout=self._timeout_s):
            return None
        try:
            answer = self._request(path, deadline)
        except OSError:  # it died, or cannot be started
            _log.warning("the headers of a song could not be read", exc_info=True)
            answer = None
        finally:
            self._lock.release()
        return answer

    def close(self) -> None:
        """Stops the process."""
        with self._lock:
            self._stop()

    def _request(self, path: Path, deadline: float) -> float | None:
        answer = None
        while answer is None:
            process = self._running_process()
            assert process.stdin is not None and process.stdout is not None
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
                answer = _read_line(process.stdout.fileno(), deadline)
            if answer is None and self._stop(timeout_s=1.0 if time.monotonic() < deadline else 0.0) != 0:
                _log.warning("the process that reads headers did not answer in time, or died of a file")
                return None
            # Exit status 0 means that it had just reached its idle timeout: start a new one and ask again.
        found = json.loads(answer)
        return float(found) if found is not None else None

    def _running_process(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._stop()
        if self._process is None:
            self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
            # Reap it as soon as it exits; otherwise it stays a zombie until the next upload.
            threading.Thread(target=self._process.wait, name="headers", daemon=True).start()
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


def _read_line(file: int, deadline: float) -> bytes | None:
    """Returns the next line of a pipe; None at end of file or timeout."""
    line = b""
    with selectors.DefaultSelector() as selector:  # select() fails for descriptors above 1023
        selector.register(file, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            piece = os.read(file, 4096) if selector.select(max(0.0, deadline - time.monotonic())) else b""
            if not piece:
                return None
            line += piece
    return line
