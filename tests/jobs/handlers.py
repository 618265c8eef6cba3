"""Handlers for tests: what a task does is the first word of its id, and a journal keeps what was done."""

import os
import signal
import threading
import time
from pathlib import Path

from stemwright.jobs.handler import FailureReason, TaskContext, TaskInterrupted, TaskPostponed
from stemwright.jobs.queue import Lease
from stemwright.settings import Settings

STEPS = 10
STEP_S = 0.05


class Journal:
    """Lines that outlive whoever wrote them."""

    def __init__(self, data: Path) -> None:
        self._path = data / "journal"
        self._may_end = data / "may-end"

    def let_end(self) -> None:
        """Lets tasks end that are held."""
        self._may_end.touch()

    def may_end(self) -> bool:
        return self._may_end.exists()

    def write(self, *words: object) -> None:
        with self._path.open("ab", buffering=0) as file:
            file.write((" ".join(str(word) for word in words) + "\n").encode())

    def lines(self) -> list[list[str]]:
        return [line.split() for line in self._path.read_text().splitlines()] if self._path.exists() else []

    def of(self, what: str) -> list[list[str]]:
        """What follows the first word in the lines that begin with it."""
        return [words for first, *words in self.lines() if first == what]


class Trivial:
    """Pretends to work."""

    def __init__(self, settings: Settings) -> None:
        self._journal = Journal(settings.data)
        self._hoard: list[bytearray] = []

    def run(self, lease: Lease, context: TaskContext) -> None:
        self._journal.write("begin", lease.task_id, lease.attempt, os.getpid())
        match lease.task_id.split("-")[0]:
            case "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            case "fault":
                raise RuntimeError("a fault of the handler's")
            case "postponed" if len(self._journal.of("begin")) < 3:
                raise TaskPostponed("the store cannot be reached")
            case "hog":
                while True:
                    self._hoard.append(bytearray(os.urandom(1 << 20)) * 50)
                    time.sleep(0.01)
            case "stuck":
                threading.Event().wait()
            case "uninterruptible":
                while True:
                    context.advance()
                    time.sleep(STEP_S)
            case "long":
                while not context.is_cancelled():
                    self._step(context)
                self._journal.write("cancelled", lease.task_id)
                return
            case "held":
                while not self._journal.may_end():
                    self._step(context)
            case "slow":
                for _ in range(STEPS * 4):
                    self._step(context)
            case _:
                self._step(context)
        self._journal.write("end", lease.task_id)

    def fail(self, lease: Lease, reason: FailureReason) -> None:
        self._journal.write("gave-up", lease.task_id, reason)

    def _step(self, context: TaskContext) -> None:
        if context.should_stop():
            raise TaskInterrupted
        context.advance()
        time.sleep(STEP_S)


def heavy(settings: Settings) -> Trivial:
    """Loads for as long as the test wants."""
    Journal(settings.data).write("load")
    while not (settings.data / "loaded").exists():
        time.sleep(0.02)
    return Trivial(settings)


def trivial(settings: Settings) -> Trivial:
    return Trivial(settings)


def broken(settings: Settings) -> Trivial:
    Journal(settings.data).write("load")
    raise RuntimeError("no model to load")
