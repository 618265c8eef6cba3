"""What threads make ahead of its use, a few at a time."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """An endless iterator over what its works ``put``, each in a thread of its own. A work's error is raised where the
    next thing would have been taken."""

    def __init__(self, most: int) -> None:
        self.ended = threading.Event()
        self._made: queue.Queue[Made | BaseException] = queue.Queue(most)
        self._threads: list[threading.Thread] = []

    def start(self, works: Sequence[Callable[[], None]]) -> None:
        """Starts the works. Each ends soon after ``ended`` is set."""
        self._threads = [threading.Thread(target=self._guard, args=(work,), daemon=True) for work in works]
        for thread in self._threads:
            thread.start()

    def put(self, made: Made | BaseException) -> None:
        """Waits until there is room, or until the end."""
        while not self.ended.is_set():
            with contextlib.suppress(queue.Full):
                self._made.put(made, timeout=0.2)
                return

    def close(self) -> None:
        """Ends the threads. One that still computes while its process ends is the end of that process: SIGABRT."""
        self.ended.set()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[Made]:
        return self

    def __next__(self) -> Made:
        made = self._made.get()
        if isinstance(made, BaseException):
            raise made
        return made

    def _guard(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self.put(error)
