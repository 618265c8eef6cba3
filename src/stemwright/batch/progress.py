"""How far a batch is, over all hosts."""

from __future__ import annotations

import time
from collections.abc import Callable

from stemwright.batch.songs import BatchSongs
from stemwright.errors import StorageError
from stemwright.formatting import clock, counted

INTERVAL_S = 10.0
QUERY_SHARE = 0.05
"""Counting a million rows takes a moment: at most this share of the time goes into it."""


class BatchProgress:
    """Counts songs every few seconds and tells in one line.

    Args:
        songs: the batch.
        on_line: called with each line.
        now_s: monotonic seconds.
    """

    def __init__(
        self, songs: BatchSongs, on_line: Callable[[str], None], now_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._songs = songs
        self._on_line = on_line
        self._now_s = now_s
        self._start: tuple[float, int] | None = None
        self._due_s = now_s()

    def turn(self) -> None:
        """Tells if it is time."""
        began_s = self._now_s()
        if began_s < self._due_s:
            return
        try:
            counts = self._songs.counts()
        except StorageError:  # those who work say so, if it lasts
            self._due_s = began_s + INTERVAL_S
            return
        self._on_line(self._line(counts, began_s))
        ended_s = self._now_s()
        self._due_s = ended_s + max(INTERVAL_S, (ended_s - began_s) / QUERY_SHARE)

    def _line(self, counts: dict[str, int], now_s: float) -> str:
        left = counts["waiting"] + counts["running"]
        ended = counts["done"] + counts["failed"]
        line = f"{counted(counts['done'], 'song')} done, {counts['failed']:,} failed, {left:,} left"
        if self._start is None:
            self._start = (now_s, ended)
        elapsed_s, here = now_s - self._start[0], ended - self._start[1]
        if elapsed_s <= 0 or here <= 0:
            return line
        per_s = here / elapsed_s
        return f"{line}, {3600 * per_s:,.0f} songs an hour, {clock(left / per_s)} left"
