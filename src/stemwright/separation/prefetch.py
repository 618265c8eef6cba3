"""Prefetch: runs an iterator in its own thread, so that decoding and the network run in parallel."""

from __future__ import annotations

import contextvars
import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetched(items: Iterator[Item], ahead: int) -> Generator[Item, None, None]:
    """The same items, up to ``ahead`` of them produced in advance. Exceptions of the iterator are raised here.

    The iterator is closed in its own thread, also when the consumer stops early.
    """
    ready: queue.Queue[object] = queue.Queue(ahead)
    stopped = threading.Event()

    def put(item: object) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def produce() -> None:
        last: object = _END
        try:
            try:
                for item in items:
                    if not put(item):
                        break
            finally:
                if (close := getattr(items, "close", None)) is not None:
                    close()
        except BaseException as error:  # raised again in the consumer
            last = error
        put(last)

    context = contextvars.copy_context()  # log lines of the thread name the task too
    producer = threading.Thread(target=context.run, args=(produce,), name="prefetch", daemon=True)
    producer.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # anything else is an item
    finally:
        stopped.set()
        producer.join()
