"""Progress of a separation on standard error: a bar on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from stemwright.cli.streams import is_terminal, print_error_line
from stemwright.formatting import clock, printable, speed

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from stemwright.separation.progress import Progress

MIN_BAR_COLUMNS = 76
"""A narrower terminal gets the numbers without a bar."""


class ProgressDisplay(Protocol):
    """Shows the progress of one song at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, title: str) -> None:
        """A song begins."""

    def update(self, progress: Progress) -> None:
        """Shows new progress of the song."""

    def print_line(self, message: str) -> None:
        """Prints one line above the bar."""


def progress_display(*, quiet: bool) -> ProgressDisplay:
    """The display that suits standard error."""
    if quiet:
        return NoProgress()
    return ProgressBar() if is_terminal(sys.stderr) else ProgressLines()


class SpeedEstimate:
    """Speed and time left of one song, from the work done since it was started or resumed."""

    def __init__(self) -> None:
        self._start: tuple[float, float] | None = None
        self._latest = (0.0, 0.0)
        self._total_s = 0.0

    def update(self, progress: Progress) -> None:
        """Adds a measurement."""
        if progress.fraction is None or progress.total_s is None:
            return
        self._latest = (time.monotonic(), progress.fraction)
        self._total_s = progress.total_s
        if self._start is None:
            self._start = self._latest

    @property
    def _rate(self) -> float | None:
        """Fraction of the work per second."""
        if self._start is None or self._latest[0] - self._start[0] < 0.2 or self._latest[1] <= self._start[1]:
            return None
        return (self._latest[1] - self._start[1]) / (self._latest[0] - self._start[0])

    def __str__(self) -> str:
        if (rate := self._rate) is None:
            return ""
        left = clock((1.0 - self._latest[1]) / rate)
        return f"{speed(rate * self._total_s)}, {left} left"


class NoProgress:
    """Prints nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def start(self, title: str) -> None:
        """Prints nothing."""

    def update(self, progress: Progress) -> None:
        """Prints nothing."""

    def print_line(self, message: str) -> None:
        """Prints nothing."""


class ProgressLines(NoProgress):
    """Prints a line at the start of a song and at every 10 % of the work."""

    def start(self, title: str) -> None:
        """A song begins."""
        self._tenth = 0
        self._speed = SpeedEstimate()
        self.print_line(f"{title}: started")
        self._title = title

    def update(self, progress: Progress) -> None:
        """Prints a line after another 10 %, or after 30 s of a song of unknown length."""
        self._speed.update(progress)
        if progress.fraction is None:
            tenth, share = int(progress.done_s // 30), ""
        else:
            tenth, share = int(progress.fraction * 10), f"{progress.fraction:4.0%}, "
        if tenth > self._tenth:
            self._tenth = tenth
            speed_estimate = f", {self._speed}" if str(self._speed) else ""
            self.print_line(f"{self._title}: {share}{progress.stage} {_seconds(progress)}{speed_estimate}")

    def print_line(self, message: str) -> None:
        """Writes the line."""
        print_error_line(message)


class ProgressBar:
    """A bar on a terminal: stage, seconds done, speed, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._is_narrow = console.width < MIN_BAR_COLUMNS
        self._bar: RichProgress = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            *([] if self._is_narrow else [BarColumn()]),
            TextColumn("{task.fields[detail]}", markup=False),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, detail="", visible=False)
        self._speed = SpeedEstimate()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, title: str) -> None:
        """A song begins."""
        self._speed = SpeedEstimate()
        self._bar.reset(self._task, total=1.0, description=printable(title), detail="reading", visible=True)

    def update(self, progress: Progress) -> None:
        """Moves the bar."""
        self._speed.update(progress)
        detail = f"{progress.stage} {_seconds(progress)}"
        if not self._is_narrow:
            detail += f"  {self._speed}"
        total = None if progress.fraction is None else 1.0
        self._bar.update(self._task, completed=progress.fraction or 0.0, total=total, detail=detail)

    def print_line(self, message: str) -> None:
        """Prints a line above the bar."""
        self._bar.console.print(printable(message), markup=False, highlight=False)


def _seconds(progress: Progress) -> str:
    total = "" if progress.total_s is None else f" of {clock(progress.total_s)}"
    return f"{clock(progress.done_s)}{total}"
