"""What standard error says while a song is separated: a bar on a terminal, plain lines in a pipe, or nothing."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from stemwright.cli.streams import is_terminal, tell
from stemwright.formatting import clock, printable, speed

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

    from stemwright.separation.progress import Progress

NARROW = 76
"""A terminal of fewer columns gets no bar beside the figures."""


class Meter(Protocol):
    """Shows one song at a time."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def start(self, title: str) -> None:
        """A song begins."""

    def update(self, progress: Progress) -> None:
        """The song got further."""

    def say(self, message: str) -> None:
        """Puts one line above whatever is shown."""


def meter(*, quiet: bool) -> Meter:
    """The meter that suits standard error."""
    if quiet:
        return Silence()
    return Bar() if is_terminal(sys.stderr) else Lines()


class Pace:
    """Speed and time left of one song, from the share of the work that was done since it began or was taken up."""

    def __init__(self) -> None:
        self._began: tuple[float, float] | None = None
        self._now = (0.0, 0.0)
        self._total_s = 0.0

    def update(self, progress: Progress) -> None:
        """Takes a new share."""
        if progress.fraction is None or progress.total_s is None:
            return
        self._now = (time.monotonic(), progress.fraction)
        self._total_s = progress.total_s
        if self._began is None:
            self._began = self._now

    @property
    def _rate(self) -> float | None:
        """Share of the work a second."""
        if self._began is None or self._now[0] - self._began[0] < 0.2 or self._now[1] <= self._began[1]:
            return None
        return (self._now[1] - self._began[1]) / (self._now[0] - self._began[0])

    def __str__(self) -> str:
        if (rate := self._rate) is None:
            return ""
        left = clock((1.0 - self._now[1]) / rate)
        return f"{speed(rate * self._total_s)}, {left} left"


class Silence:
    """Says nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def start(self, title: str) -> None:
        """Says nothing."""

    def update(self, progress: Progress) -> None:
        """Says nothing."""

    def say(self, message: str) -> None:
        """Says nothing."""


class Lines(Silence):
    """A line at the start of a song and at every tenth of its work."""

    def start(self, title: str) -> None:
        """A song begins."""
        self._tenth = 0
        self._pace = Pace()
        self.say(f"{title}: started")
        self._title = title

    def update(self, progress: Progress) -> None:
        """Says a line when another tenth is done, or 30 s of a song of unknown length."""
        self._pace.update(progress)
        if progress.fraction is None:
            tenth, share = int(progress.done_s // 30), ""
        else:
            tenth, share = int(progress.fraction * 10), f"{progress.fraction:4.0%}, "
        if tenth > self._tenth:
            self._tenth = tenth
            pace = f", {self._pace}" if str(self._pace) else ""
            self.say(f"{self._title}: {share}{progress.stage} {_seconds(progress)}{pace}")

    def say(self, message: str) -> None:
        """Writes the line."""
        tell(message)


class Bar:
    """A bar on a terminal: stage, seconds done, speed, time left."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._is_narrow = console.width < NARROW
        self._bar: RichProgress = Progress(
            TextColumn("{task.percentage:>3.0f}%"),
            *([] if self._is_narrow else [BarColumn()]),
            TextColumn("{task.fields[detail]}", markup=False),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._bar.add_task("", total=1.0, detail="", visible=False)
        self._pace = Pace()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def start(self, title: str) -> None:
        """A song begins."""
        self._pace = Pace()
        self._bar.reset(self._task, total=1.0, description=printable(title), detail="reading", visible=True)

    def update(self, progress: Progress) -> None:
        """Moves the bar."""
        self._pace.update(progress)
        detail = f"{progress.stage} {_seconds(progress)}"
        if not self._is_narrow:
            detail += f"  {self._pace}"
        total = None if progress.fraction is None else 1.0
        self._bar.update(self._task, completed=progress.fraction or 0.0, total=total, detail=detail)

    def say(self, message: str) -> None:
        """Prints a line above the bar."""
        self._bar.console.print(printable(message), markup=False, highlight=False)


def _seconds(progress: Progress) -> str:
    total = "" if progress.total_s is None else f" of {clock(progress.total_s)}"
    return f"{clock(progress.done_s)}{total}"
