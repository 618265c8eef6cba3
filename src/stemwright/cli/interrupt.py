"""Ctrl-C and SIGTERM: the first ends the song at its next chunk, so that it can be resumed; the second ends at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from stemwright.errors import CancelledError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

MESSAGE = b"\nStopping at the next chunk, so that --resume can take it up. Again to stop at once.\n"


class Interrupt:
    """Listens to the signals while it is entered. Outside of ``patience`` each ends the command at once.

    Once a signal came, the command is about to end: from leaving on, another one ends the process without a word. As an
    exception it would meet an interpreter that shuts down, which prints it with its traceback.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._patient = False
        self._set = False
        self._left = False
        self._before: dict[signal.Signals, Any] = {}

    def is_set(self) -> bool:
        """Whether a signal came."""
        return self._set

    @contextmanager
    def patience(self) -> Iterator[None]:
        """While work is done that asks ``is_set`` often, the first signal is only noted."""
        self._patient = True
        try:
            yield
        finally:
            self._patient = False

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._set:
            self._left = True
            return
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self._left:
            os._exit(CancelledError.exit_code)
        may_wait = self._patient and not self._set
        self._set = True
        if not may_wait:
            raise KeyboardInterrupt
        if not self._quiet:
            os.write(2, MESSAGE)  # a signal may come in the middle of a print, which must not be entered twice
