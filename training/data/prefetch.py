"""A bounded queue that threads fill ahead of its use."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")


class Prefetcher(Generic[Item]):
    """An endless iterator over what its producers ``put``, each producer in a thread of its own.

    An error of a producer is raised where the next item would have been taken.
    """

    def __init__(self, capacity: int) -> None:
        self.stopped = threading.Event()
        self._items: queue.Queue[Item | BaseException] = queue.Queue(capacity)
        self._threads: list[threading.Thread] = []

    def start(self, producers: Sequence[Callable[[], None]]) -> None:
        """Starts the producers. Each ends soon after ``stopped`` is set."""
        self._threads = [threading.Thread(target=self._guard, args=(producer,), daemon=True) for producer in producers]
        for thread in self._threads:
            thread.start()

    def put(self, item: Item | BaseException) -> None:
        """Adds an item; waits until there is room, or until ``close``."""
        while not self.stopped.is_set():
            with contextlib.suppress(queue.Full):
                self._items.put(item, timeout=0.2)
                return

    def close(self) -> None:
        """Stops the threads. A thread that still computes while the interpreter exits aborts the process (SIGABRT)."""
        self.stopped.set()
        for thread in self._threads:
            thread.join()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        item = self._items.get()
        if isinstance(item, BaseException):
            raise item
        return item

    def _guard(self, producer: Callable[[], None]) -> None:
        try:
            producer()
        except BaseException as error:
            self.put(error)
