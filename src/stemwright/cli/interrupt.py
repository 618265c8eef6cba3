"""Ctrl-C and SIGTERM: the first stops the song at its next chunk, so that it can be resumed; the second exits at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from stemwright.errors import CancelledError

SIGNALS = (signal.SIGINT, signal.SIGTERM)

STOPPING_MESSAGE = b"\nStopping at the next chunk, so that --resume can continue. Press again to stop at once.\n"


class InterruptHandler:
    """Handles the signals inside its context. Outside of ``deferred`` a signal ends the command at once.

    Once a signal was received, the command is about to exit. A signal after the context has exited ends the process
    silently: an exception raised while the interpreter shuts down would be printed with its traceback.
    """

    def __init__(self, *, quiet: bool, stopping_message: bytes = STOPPING_MESSAGE) -> None:
        self._quiet = quiet
        self._stopping_message = stopping_message
        self._is_deferred = False
        self._received = False
        self._has_exited = False
        self._previous_handlers: dict[signal.Signals, Any] = {}

    def is_set(self) -> bool:
        """Whether a signal was received."""
        return self._received

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """For work that polls ``is_set``: the first signal only sets the flag."""
        self._is_deferred = True
        try:
            yield
        finally:
            self._is_deferred = False

    def __enter__(self) -> Self:
        for number in SIGNALS:
            self._previous_handlers[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._received:
            self._has_exited = True
            return
        for number, handler in self._previous_handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self._has_exited:
            os._exit(CancelledError.exit_code)
        defers = self._is_deferred and not self._received
        self._received = True
        if not defers:
            raise KeyboardInterrupt
        if not self._quiet:
            os.write(
                2, self._stopping_message
            )  # not print: it is not reentrant, and the signal may interrupt another print
