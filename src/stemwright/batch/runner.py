"""The processes of a batch on this host: starts them, hears of failures, replaces those that die."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import IO, Any

from stemwright.batch.songs import BatchSongs
from stemwright.batch.worker_main import WorkerConfig
from stemwright.errors import (
    CancelledError,
    ModelUnavailableError,
    StemwrightError,
    StorageError,
    UnreadableInputError,
    UsageError,
)

PROGRAM = "from stemwright.batch.worker_main import main; main()"
CHECK_INTERVAL_S = 0.1
MAX_START_DEATHS = 3
"""So many processes in a row may die while they start; then something is wrong that no other gets around."""

OnFailure = Callable[[str, str], None]


@dataclass(frozen=True)
class Stopped:
    """Why a process stopped before the end: for a reason that holds for all songs."""

    error: str
    exit_code: int


class BatchProcess:
    """One process. ``jobs.worker_process`` is the like of it for tasks of a server."""

    def __init__(self, config: WorkerConfig, on_failure: OnFailure) -> None:
        self.name = config.name
        self.is_ready = False
        self.stopped: Stopped | None = None
        self._on_failure = on_failure
        # A session of its own: a terminal's Ctrl-C reaches the command alone, which closes standard input.
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            start_new_session=True,
        )
        self._tell(config.to_json() + "\n")
        self._listener = threading.Thread(target=self._listen, args=(self._process.stdout,), daemon=True)
        self._listener.start()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Its exit code once it has ended; None before."""
        code = self._process.poll()
        if code is not None:
            self._listener.join()
        return code

    def stop(self) -> None:
        """Has it stop at the next chunk and hand its song back."""
        stdin = self._process.stdin
        if stdin is not None and not stdin.closed:
            try:
                stdin.close()
            except OSError:  # it has died
                return

    def kill(self) -> None:
        """Ends it at once."""
        self._process.kill()
        self._process.wait()

    def _tell(self, text: str) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        try:
            stdin.write(text)
            stdin.flush()
        except OSError:  # it has died already, which its exit code tells
            return

    def _listen(self, words: IO[str]) -> None:
        with words:
            for line in words:
                try:
                    facts: dict[str, Any] = json.loads(line)
                except ValueError:  # the last words of one that was killed
                    return
                if "failed" in facts:
                    self._on_failure(facts["failed"], facts["error"])
                elif "ready" in facts:
                    self.is_ready = True
                else:
                    self.stopped = Stopped(facts["stopped"], facts["exit_code"])


class BatchRunner:
    """Runs the processes until the batch is finished.

    Args:
        config: of each process; gets a name.
        jobs: number of processes.
        songs: the batch.
        on_failure: called with path and error of a song, from several threads.
    """

    def __init__(self, config: WorkerConfig, jobs: int, songs: BatchSongs, on_failure: OnFailure) -> None:
        self._config = config
        self._songs = songs
        self._on_failure = on_failure
        host = f"{socket.gethostname()[:80]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._names = [f"{host}/{number}" for number in range(jobs)]
        self._start_deaths = 0
        self._processes: list[BatchProcess] = []

    @property
    def pids(self) -> list[int]:
        """Process ids of those that run."""
        return [process.pid for process in self._processes]

    def run(self, is_stopping: Callable[[], bool], on_turn: Callable[[], None]) -> None:
        """Returns once no song waits and none is running anywhere.

        Args:
            is_stopping: polled; True has all stop at their next chunk.
            on_turn: called several times a second.

        Raises:
            CancelledError: it was stopped.
            StemwrightError: something that holds for all songs.
        """
        reason: StemwrightError | None = None
        self._processes = [self._start(name) for name in self._names]
        try:
            while self._processes:
                on_turn()
                if reason is None and is_stopping():
                    reason = CancelledError("Interrupted; the same command goes on from here.")
                if reason is not None:
                    for process in self._processes:
                        process.stop()
                for process in list(self._processes):
                    if (code := process.exit_code()) is not None:
                        self._processes.remove(process)
                        reason = self._ended(process, code, reason)
                time.sleep(CHECK_INTERVAL_S)
        finally:
            for process in self._processes:  # a second Ctrl-C
                process.kill()
                process.stop()
                self._release(process.name, counts=False)
        if reason is not None:
            raise reason

    def _ended(self, process: BatchProcess, code: int, reason: StemwrightError | None) -> StemwrightError | None:
        """The reason for which all must stop after a process has ended, if there is one."""
        process.stop()
        if code == 0:
            return reason
        if process.stopped is not None:
            return reason or _error(process.stopped)
        self._release(process.name)
        self._start_deaths = 0 if process.is_ready else self._start_deaths + 1
        if reason is not None:
            return reason
        if self._start_deaths >= MAX_START_DEATHS:
            return StemwrightError(
                f"{MAX_START_DEATHS} processes of the batch ended while they started (the last with {code}): "
                "the lines above, or the system's log, say why."
            )
        self._processes.append(self._start(process.name))
        return None

    def _start(self, name: str) -> BatchProcess:
        return BatchProcess(replace(self._config, name=name), self._on_failure)

    def _release(self, worker: str, *, counts: bool = True) -> None:
        """Hands the song of a dead process to another; without the database its lease runs out instead."""
        with suppress(StorageError):
            self._songs.release_worker(worker, counts=counts)


def _error(stopped: Stopped) -> StemwrightError:
    kinds = (UsageError, UnreadableInputError, ModelUnavailableError, StorageError, CancelledError)
    kind = next((kind for kind in kinds if kind.exit_code == stopped.exit_code), StemwrightError)
    return kind(stopped.error)
