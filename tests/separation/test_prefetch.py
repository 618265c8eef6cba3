from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from stemwright.separation.prefetch import prefetched


def counted(closed: threading.Event, stop: int = 10, fault: int | None = None) -> Iterator[int]:
    try:
        for number in range(stop):
            if number == fault:
                raise ValueError("no more")
            yield number
    finally:
        closed.set()


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_all_items_come_in_order(ahead: int) -> None:
    closed = threading.Event()
    assert list(prefetched(counted(closed), ahead)) == list(range(10))
    assert closed.is_set()


def test_items_are_made_before_they_are_wanted_but_not_many() -> None:
    made: list[int] = []
    third = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    stream = prefetched(numbers(), 2)
    assert next(stream) == 0
    assert third.wait(240)  # 1 and 2 wait in the queue, 3 is in the making
    stream.close()
    assert len(made) <= 5


def test_what_the_making_raises_is_raised_here() -> None:
    closed = threading.Event()
    stream = prefetched(counted(closed, fault=2), 8)
    assert [next(stream), next(stream)] == [0, 1]
    with pytest.raises(ValueError, match="no more"):
        next(stream)
    assert closed.is_set()


def test_a_stream_that_nobody_wants_any_more_is_closed() -> None:
    closed = threading.Event()
    stream = prefetched(counted(closed, stop=1_000_000), 1)
    next(stream)
    stream.close()
    assert closed.is_set()


class Stuck(Iterator[int]):
    """A stream whose end cannot be closed, as of a file on a disk that went away."""

    def __next__(self) -> int:
        raise StopIteration

    def close(self) -> None:
        raise OSError("the disk went away")


def test_what_its_closing_raises_is_raised_here_too() -> None:
    with pytest.raises(OSError, match="went away"):
        list(prefetched(Stuck(), 1))
