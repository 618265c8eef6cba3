"""What standard error says while weights are downloaded: a bar on a terminal, a line now and then in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemwright.cli.streams import is_terminal, tell
from stemwright.formatting import clock, megabytes, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from stemwright.models.weight_download import DownloadProgress

LINE_S = 5.0
"""Seconds between two lines of the same stage."""


@contextmanager
def download_bar(*, quiet: bool = False) -> Iterator[Callable[[DownloadProgress], None]]:
    """Gives what suits standard error, for the ``on_progress`` of any number of downloads, also at once."""
    if quiet:
        yield lambda progress: None
    elif is_terminal(sys.stderr):
        with _bars() as bars:
            yield Bars(bars)
    else:
        yield Lines()


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


class Bars:
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
            # the speed is that of this stage: what an earlier run brought came in no time
            self._stages[progress.name] = progress.stage
            self._bars.reset(task, total=progress.total_bytes, completed=progress.done_bytes, stage=progress.stage)
        self._bars.update(task, completed=progress.done_bytes)


@dataclass
class _Stage:
    """Of one file: its name, when and with how many bytes it began, and when a line was last said of it."""

    name: str
    began_s: float
    began_bytes: int
    said_s: float


class Lines:
    """A line when a file's stage begins, and every few seconds of it."""

    def __init__(self, now_s: Callable[[], float] = time.monotonic) -> None:
        self._now_s = now_s
        self._stages: dict[str, _Stage] = {}

    def __call__(self, progress: DownloadProgress) -> None:
        """Says a line if it is time for one."""
        now_s = self._now_s()
        stage = self._stages.get(progress.name)
        if stage is None or stage.name != progress.stage:
            stage = self._stages[progress.name] = _Stage(progress.stage, now_s, progress.done_bytes, now_s)
        elif now_s - stage.said_s < LINE_S:
            return
        stage.said_s = now_s
        share = progress.done_bytes / progress.total_bytes
        amount = f"{megabytes(progress.done_bytes)} of {megabytes(progress.total_bytes)} ({share:.0%})"
        tell(f"{progress.name}: {progress.stage}, {amount}{_pace(progress, stage, now_s)}")


def _pace(progress: DownloadProgress, stage: _Stage, now_s: float) -> str:
    came_bytes = progress.done_bytes - stage.began_bytes
    if came_bytes <= 0 or now_s <= stage.began_s:
        return ""
    rate = came_bytes / (now_s - stage.began_s)
    return f", {megabytes(rate)}/s, {clock((progress.total_bytes - progress.done_bytes) / rate)} left"
