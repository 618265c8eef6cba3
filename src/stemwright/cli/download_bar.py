"""Progress of downloads on standard error: bars on a terminal, occasional lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemwright.cli.streams import is_terminal, print_error_line
from stemwright.formatting import clock, megabytes, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from stemwright.models.weight_download import DownloadProgress

LINE_INTERVAL_S = 5.0
"""Seconds between two lines about one stage."""


@contextmanager
def download_bar(*, quiet: bool = False) -> Iterator[Callable[[DownloadProgress], None]]:
    """Gives an ``on_progress`` callback that suits standard error; several downloads may share it, also in parallel."""
    if quiet:
        yield lambda progress: None
    elif is_terminal(sys.stderr):
        with _bars() as bars:
            yield DownloadBars(bars)
    else:
        yield DownloadLines()


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[stage]}", markup=False),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,  # it may be a pipe that waits for JSON
    )


class DownloadBars:
    """A bar for each file: stage, bytes, speed, time left."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}
        self._stages: dict[str, str] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Moves the file's bar."""
        if progress.name not in self._tasks:
            self._tasks[progress.name] = self._bars.add_task(printable(progress.name), stage=progress.stage)
        task = self._tasks[progress.name]
        if self._stages.get(progress.name) != progress.stage:
            # the speed counts from here: bytes of an earlier run took no time
            self._stages[progress.name] = progress.stage
            self._bars.reset(task, total=progress.total_bytes, completed=progress.done_bytes, stage=progress.stage)
        self._bars.update(task, completed=progress.done_bytes)


@dataclass
class _StageState:
    """The stage of one file: its name, time and bytes at its start, and time of the last line."""

    name: str
    start_s: float
    start_bytes: int
    last_line_s: float


class DownloadLines:
    """Prints a line when a stage of a file begins, and then every few seconds."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._stages: dict[str, _StageState] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Prints a line if it is time for one."""
        now_s = self._now_s()
        stage = self._stages.get(progress.name)
        if stage is None or stage.name != progress.stage:
            stage = self._stages[progress.name] = _StageState(progress.stage, now_s, progress.done_bytes, now_s)
        elif now_s - stage.last_line_s < LINE_INTERVAL_S:
            return
        stage.last_line_s = now_s
        share = progress.done_bytes / progress.total_bytes
        amount = f"{megabytes(progress.done_bytes)} of {megabytes(progress.total_bytes)} ({share:.0%})"
        print_error_line(f"{progress.name}: {progress.stage}, {amount}{_speed_and_time_left(progress, stage, now_s)}")


def _speed_and_time_left(progress: DownloadProgress, stage: _StageState, now_s: float) -> str:
    received_bytes = progress.done_bytes - stage.start_bytes
    if received_bytes <= 0 or now_s <= stage.start_s:
        return ""
    rate = received_bytes / (now_s - stage.start_s)
    return f", {megabytes(rate)}/s, {clock((progress.total_bytes - progress.done_bytes) / rate)} left"
