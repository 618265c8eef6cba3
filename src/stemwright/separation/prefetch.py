"""Prefetch: a stream made in a thread of its own, so that decoding does not wait for the network, nor it for decoding."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterator
from typing import TypeVar

Item = TypeVar("Item")

_END = object()


def prefetched(items: Iterator[Item], ahead: int) -> Generator[Item, None, None]:
    """The same items, made up to ``ahead`` of them before they are asked for. What making them raises is raised here.

    The stream is closed where it was made, also when nobody wants the rest of it.
    """
    ready: queue.Queue[object] = queue.Queue(ahead)
    unwanted = threading.Event()

    def put(item: object) -> bool:
        while not unwanted.is_set():
            try:
                ready.put(item, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def make() -> None:
        last: object = _END
        try:
            try:
                for item in items:
                    if not put(item):
                        break
            finally:
                if (close := getattr(items, "close", None)) is not None:
                    close()
        except BaseException as error:  # raised again where the items are wanted
            last = error
        put(last)

    maker = threading.Thread(target=make, name="prefetch", daemon=True)
    maker.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, BaseException):
                raise item
            yield item  # type: ignore[misc]  # what is neither the end nor an error is an item
    finally:
        unwanted.set()
        maker.join()
